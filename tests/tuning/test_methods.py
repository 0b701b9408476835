from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from support.tuned import PLAIN, ROUNDED, changed, train

from fourfold.errors import ModelError
from fourfold.llm.load import load_base
from fourfold.llm.port import Adapter, Prompt, Sampling
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings
from fourfold.tuning.methods import adapted_layers, require_base, with_adapter


def test_qlora_is_lora_on_a_rounded_base(tmp_path: Path, tiny: Weights) -> None:
    digests = {method: train(tmp_path / method, tiny, changed(method=method)).digest for method in ("lora", "qlora")}
    assert digests["lora"] == digests["qlora"]


def test_on_an_unrounded_base_lora_learns_other_weights(tmp_path: Path, tiny: Weights) -> None:
    digests = {model.quantisation: train(tmp_path / model.quantisation, tiny, model=model).digest
               for model in (PLAIN, ROUNDED)}  # fmt: skip
    assert digests["none"] != digests["nf4"]


@pytest.mark.parametrize(("method", "switch"), [("dora", "use_dora"), ("rslora", "use_rslora")])
def test_variants_are_pefts_switches(tmp_path: Path, tiny: Weights, method: str, switch: str) -> None:
    train(tmp_path, tiny, changed(method=method, epochs=1))
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert [name for name in ("use_dora", "use_rslora") if config.get(name)] == [switch]


def test_rank_stabilised_updates_are_scaled_by_the_root_of_the_rank(tiny: Weights) -> None:
    scales = {}
    for method in ("lora", "rslora"):
        with quiet_transformers():
            tuned = with_adapter(load_base(tiny, PLAIN, device="cpu"), changed(method=method))
        scales[method] = {module.scaling["default"] for module in tuned.modules() if hasattr(module, "lora_A")}
    assert scales == {"lora": {8 / 4}, "rslora": {8 / 2}}


def test_every_linear_layer_but_the_head_is_adapted(tiny: Weights) -> None:
    names = adapted_layers(load_base(tiny, PLAIN, device="cpu"))
    assert len(names) == 2 * 7
    assert {name.rpartition(".")[2] for name in names} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"
    }  # fmt: skip


def test_fully_tuned_layers_answer_as_a_model_with_these_weights_and_the_base_as_before(
    tmp_path: Path, tiny: Weights
) -> None:
    trained = train(tmp_path, tiny, changed(method="full"), model=PLAIN)
    learnt = load_file(tmp_path / "adapter_model.safetensors")
    prompts = [Prompt(token_ids=(5, 6, 7, 8)), Prompt(token_ids=(9, 10))]
    engine = TorchEngine(tiny, PLAIN, device="cpu")
    before = engine.complete(prompts, Sampling(max_tokens=5), None)
    adapter = Adapter(folder=tmp_path, digest=trained.digest)
    tuned = engine.complete(prompts, Sampling(max_tokens=5), adapter)
    assert engine.complete(prompts, Sampling(max_tokens=5), None) == before != tuned
    by_hand = TorchEngine(tiny, PLAIN, device="cpu")
    layers = adapted_layers(by_hand.load())
    assert len(learnt) == len(layers)
    for name, layer in layers.items():
        (weight,) = (tensor for of, tensor in learnt.items() if of.startswith(f"base_model.model.{name}."))
        layer.weight.data.copy_(weight)
    assert [one.token_ids for one in by_hand.complete(prompts, Sampling(max_tokens=5), None)] == [
        one.token_ids for one in tuned
    ]


@pytest.mark.parametrize(
    ("method", "model", "told"),
    [
        ("qlora", PLAIN, "model.quantisation = none"),
        ("full", ROUNDED, "model.quantisation = nf4, model.dtype = float32"),
        ("full", ModelSettings(dtype="bfloat16", quantisation="none"), "model.dtype = bfloat16"),
    ],
)
def test_a_method_on_a_base_that_is_none_of_its_own_is_refused(method: str, model: ModelSettings, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        require_base(changed(method=method), model)


@pytest.mark.parametrize("method", ["lora", "dora", "rslora"])
@pytest.mark.parametrize("model", [PLAIN, ROUNDED, ModelSettings()])
def test_low_rank_methods_stand_on_every_base(method: str, model: ModelSettings) -> None:
    require_base(changed(method=method), model)
