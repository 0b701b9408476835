from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from fourfold.errors import ModelError
from fourfold.llm.load import load_base
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings
from fourfold.tuning.batches import collate
from fourfold.tuning.loss import answer_loss, require_plain_head
from fourfold.tuning.rows import TuningRow


def _row(prompt: tuple[int, ...], answer: tuple[int, ...]) -> TuningRow:
    return TuningRow(question_id="q", form="with contexts", prompt_ids=prompt, answer_ids=answer)


ROWS = [_row((5, 9, 17, 30, 8, 11), (40, 41, 2)), _row((7, 3), (50, 2)), _row((12,), (60, 61, 62, 63, 2))]


@pytest.fixture
def model(tiny: Weights) -> Any:
    return load_base(tiny, ModelSettings(dtype="float32", quantisation="none"), device="cpu")


def _by_hand(model: Any, row: TuningRow) -> torch.Tensor:
    """The definition: one row alone, logits of every position, sum over its answer tokens."""
    ids = torch.tensor([row.prompt_ids + row.answer_ids])
    logprobs = functional.log_softmax(model(input_ids=ids).logits[0].float(), dim=-1)
    n_prompt = len(row.prompt_ids)
    terms = [-logprobs[n_prompt - 1 + i, token] for i, token in enumerate(row.answer_ids)]
    return torch.stack(terms).sum()


def test_the_loss_of_a_padded_batch_is_the_sum_over_its_rows_alone(model: Any) -> None:
    batch = collate(ROWS, pad_id=0)
    expected = sum(_by_hand(model, row) for row in ROWS)
    torch.testing.assert_close(answer_loss(model, batch["input_ids"], batch["labels"]), expected, rtol=1e-5, atol=1e-5)


def test_gradients_of_a_padded_batch_are_those_of_its_rows_alone(model: Any) -> None:
    batch = collate(ROWS, pad_id=0)
    answer_loss(model, batch["input_ids"], batch["labels"]).backward()
    together = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    sum(_by_hand(model, row) for row in ROWS).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(together[name], parameter.grad, rtol=1e-4, atol=1e-5)


def test_tokens_without_a_label_do_not_move_the_loss_where_nothing_attends_to_them(model: Any) -> None:
    batch = collate(ROWS, pad_id=0)
    before = answer_loss(model, batch["input_ids"], batch["labels"])
    padding = batch["input_ids"].clone()
    padding[1, ROWS[1].n_tokens :] = 99
    torch.testing.assert_close(answer_loss(model, padding, batch["labels"]), before)
    prompt = batch["input_ids"].clone()
    prompt[1, 0] = 99
    assert not torch.isclose(answer_loss(model, prompt, batch["labels"]), before)


def test_only_answer_positions_go_through_the_head(model: Any) -> None:
    seen: list[tuple[int, ...]] = []
    model.get_output_embeddings().register_forward_hook(lambda _m, args, _o: seen.append(tuple(args[0].shape)))
    batch = collate(ROWS, pad_id=0)
    answer_loss(model, batch["input_ids"], batch["labels"])
    assert seen == [(sum(len(row.answer_ids) for row in ROWS), 32)]


def test_attention_is_given_no_mask(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    masks: list[object] = []
    real = functional.scaled_dot_product_attention

    def spy(*args: Any, **kwargs: Any) -> torch.Tensor:
        masks.append(kwargs.get("attn_mask"))
        assert kwargs.get("is_causal")
        return real(*args, **kwargs)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    batch = collate(ROWS, pad_id=0)
    answer_loss(model, batch["input_ids"], batch["labels"])
    assert masks == [None] * model.config.num_hidden_layers


def test_a_model_that_caps_its_logits_is_refused(model: Any) -> None:
    require_plain_head(model.config)
    model.config.final_logit_softcapping = 30.0
    with pytest.raises(ModelError, match="final_logit_softcapping = 30"):
        require_plain_head(model.config)
