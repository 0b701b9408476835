"""The merged model, written and read again as any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.tuned import PLAIN

from fourfold.errors import StoreError
from fourfold.llm.load import load_base, load_tokenizer
from fourfold.llm.port import Adapter
from fourfold.llm.weights import Weights, find_language_model
from fourfold.tuning.export.merge import with_peft, write_merged

IDS = torch.tensor([[5, 9, 30, 41, 77]])


def test_what_is_written_answers_as_base_and_adapter_do(base: Weights, lora: Adapter, tmp_path: Path) -> None:
    folder = tmp_path / "merged"
    write_merged(folder, base, PLAIN, lora, device="cpu")
    read = find_language_model(str(folder), tmp_path)
    with torch.inference_mode():
        merged = load_base(read, PLAIN, device="cpu")(input_ids=IDS).logits
        bare = load_base(base, PLAIN, device="cpu")(input_ids=IDS).logits
        tuned = with_peft(load_base(base, PLAIN, device="cpu"), base, lora)(input_ids=IDS).logits
    torch.testing.assert_close(merged, tuned, atol=1e-4, rtol=1e-4)
    assert (merged - bare).abs().max() > 0.1
    assert load_tokenizer(read).chat_template == load_tokenizer(base).chat_template
    assert {path.suffix for path in folder.iterdir()} <= {".safetensors", ".json", ".jinja"}


def test_a_folder_that_is_there_stays_as_it_is(base: Weights, lora: Adapter, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="already"):
        write_merged(tmp_path, base, PLAIN, lora, device="cpu")
    assert list(tmp_path.iterdir()) == []
