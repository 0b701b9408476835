"""The GGUF adapter: llama.cpp with it gives PEFT's own log-probabilities."""

from __future__ import annotations

import dataclasses
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_gguf import write_tiny_gguf
from support.tuned import PLAIN

from fourfold.errors import ModelError
from fourfold.llm.load import load_base
from fourfold.llm.port import Adapter
from fourfold.llm.weights import Weights
from fourfold.tuning.export.gguf_adapter import write_gguf_adapter
from fourfold.tuning.export.merge import with_peft

LETTER = 40
IDS = [5, 9, 30, 41, 77, 120, 33, 8]


def served_logprobs(base: Path, adapter: Path | None) -> dict[int, float]:
    """Natural log-probabilities of the token after IDS, by llama.cpp."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp is not installed: there is no llama.cpp to load it")
    params = xllamacpp.CommonParams()
    params.model.path = str(base)
    params.n_ctx = 64
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    if adapter is not None:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    server = xllamacpp.Server(params)
    # A letter is written whatever the model thinks: half a character is answered without probabilities.
    body = {"prompt": IDS, "n_predict": 1, "n_probs": 400, "cache_prompt": False, "logit_bias": [[LETTER, 1000.0]]}
    request = urllib.request.Request(
        f"{server.listening_address}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        (place,) = json.loads(reply.read())["completion_probabilities"]
    del server
    return {one["id"]: one["logprob"] for one in place["top_logprobs"]}


def own_logprobs(base: Weights, adapter: Adapter | None) -> torch.Tensor:
    model: Any = load_base(base, PLAIN, device="cpu")
    model = model if adapter is None else with_peft(model, base, adapter)
    with torch.inference_mode():
        return model(input_ids=torch.tensor([IDS])).logits[0, -1].log_softmax(dim=0)


@pytest.fixture(scope="module")
def file(base: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(base, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def widest(served: dict[int, float], own: torch.Tensor) -> float:
    return max(abs(value - float(own[token])) for token, value in served.items())


def test_llama_cpp_with_the_adapter_answers_as_peft_does(
    base: Weights, file: Path, lora: Adapter, rslora: Adapter, tmp_path: Path
) -> None:
    plain = own_logprobs(base, None)
    bare = served_logprobs(file, None)
    assert len(bare) > 100
    # llama.cpp keeps its cache in 16 bits: the distance is of the order of the untuned model's own.
    rounding = 4 * widest(bare, plain) + 1e-3
    for adapter in (lora, rslora):
        path = tmp_path / f"{adapter.digest}.gguf"
        write_gguf_adapter(path, base, adapter)
        served = served_logprobs(file, path)
        # The test can fail: without the adapter the model is far away.
        assert widest(served, plain) > 20 * rounding
        assert widest(served, own_logprobs(base, adapter)) < rounding


def test_every_matrix_is_there_under_its_name_in_llama_cpp(base: Weights, lora: Adapter, tmp_path: Path) -> None:
    import gguf

    path = tmp_path / "lora.gguf"
    assert write_gguf_adapter(path, base, lora) == 2 * 2 * 7
    reader = gguf.GGUFReader(path)
    shapes = {tensor.name: tuple(reversed(tensor.shape.tolist())) for tensor in reader.tensors}
    assert shapes["blk.1.ffn_down.weight.lora_a"] == (4, 64)
    assert shapes["blk.1.ffn_down.weight.lora_b"] == (32, 4)
    assert {name.split(".")[1] for name in shapes} == {"0", "1"}
    assert reader.get_field("adapter.lora.alpha").contents() == 8.0


def test_an_adapter_that_is_no_lora_is_refused(base: Weights, dora: Adapter, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="dora"):
        write_gguf_adapter(tmp_path / "dora.gguf", base, dora)


def test_a_base_of_another_kind_is_refused(
    base: Weights, lora: Adapter, tmp_path: Path, copied: Callable[[Path], Path]
) -> None:
    folder = copied(base.folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "gpt_neox"}), encoding="utf-8")
    with pytest.raises(ModelError, match="gpt_neox"):
        write_gguf_adapter(tmp_path / "x.gguf", dataclasses.replace(base, folder=folder), lora)


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    import shutil

    return lambda folder: Path(shutil.copytree(folder, tmp_path / "copy"))
