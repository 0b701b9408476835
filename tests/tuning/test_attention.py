"""Training with segment attention: what it gives is what sdpa gives, and what it cannot do it refuses."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from support.architectures import PLAIN as PLAIN_ONLY
from support.architectures import RAGGED, make_model
from support.tuned import PLAIN, KilledError, changed, kill_at, train

from fourfold.errors import ModelError
from fourfold.llm.load import load_base
from fourfold.llm.weights import Weights
from fourfold.tuning.attention import plain_attention, require_causal, use_segment_attention
from fourfold.tuning.drift import Probe
from fourfold.tuning.methods import with_adapter
from fourfold.tuning.objectives import objective_of, shown_in
from fourfold.tuning.order import order_rows
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.shared_rows import plan_shared, shared_loss
from fourfold.tuning.train import TrainingSet
from fourfold.tuning.trainer import answer_trainer, training_arguments

INSTRUCTIONS = tuple(range(3, 23))


def make_rows() -> list[TuningRow]:
    """Three contexts of two documents with 3, 2 and 1 questions, and each question without them."""
    rows = []
    for context, n_questions in ((0, 3), (1, 2), (2, 1)):
        documents = tuple((7 * at + 31 * context) % 300 + 20 for at in range(40))
        for question in range(n_questions):
            asked = tuple(200 + 10 * context + 3 * question + at for at in range(4 + question))
            answer = (30 + context, 40 + question, 2)
            name = f"{context}.{question}"
            rows += [
                TuningRow(
                    question_id=name, form="with contexts", prompt_ids=INSTRUCTIONS + documents + asked,
                    answer_ids=answer, document_spans=((20, 38), (38, 60)),
                ),
                TuningRow(
                    question_id=name, form="without contexts", prompt_ids=INSTRUCTIONS + asked, answer_ids=answer
                ),
            ]  # fmt: skip
    return rows


ROWS = make_rows()
SEGMENT = {"attention": "segment", "epochs": 2}
OBJECTIVES: list[dict[str, Any]] = [{}, {"objective": "cit", "cit_alpha": 0.7}]


def first_step(weights: Weights, folder: Path, **fields: Any) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one optimiser step over all rows, through the Trainer."""
    tuning = changed(batch_rows=len(ROWS), epochs=1, **fields)
    torch.manual_seed(0)
    peft_model = with_adapter(load_base(weights, PLAIN, device="cpu"), tuning)
    for name, parameter in peft_model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    # References between those of the model: some changes are rises and some are not.
    base = {shown_in(row).key: (-5.98, -6.0) for row in ROWS if row.document_spans} if "objective" in fields else {}
    arguments = training_arguments(tuning, folder, n_rows=len(ROWS), seed=0, device="cpu")
    trainer = answer_trainer(
        peft_model, ROWS, objective_of(tuning), tuning=tuning, arguments={**arguments, "report_to": []}, base=base
    )
    (inputs,) = trainer.get_train_dataloader()
    assert len(inputs["batches"]) > 1
    loss = trainer.training_step(peft_model, inputs)
    return float(loss), {
        name: parameter.grad for name, parameter in peft_model.named_parameters() if parameter.grad is not None
    }


@pytest.mark.parametrize("objective", OBJECTIVES, ids=["sft", "cit"])
def test_a_step_has_the_loss_and_gradients_of_rows_side_by_side(
    tiny: Weights, tmp_path: Path, objective: dict[str, Any]
) -> None:
    expected, gradients = first_step(tiny, tmp_path, **objective)
    found, ours = first_step(tiny, tmp_path, attention="segment", **objective)
    assert found == pytest.approx(expected, rel=5e-6)
    assert ours.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert gradient.any()
        assert (ours[name] - gradient).norm() <= 5e-5 * gradient.norm(), name


def test_both_objectives_differ_so_that_the_comparison_sees_documents(tiny: Weights, tmp_path: Path) -> None:
    plain, cit = (first_step(tiny, tmp_path, attention="segment", **objective)[0] for objective in OBJECTIVES)
    assert abs(cit - plain) > 1e-3


def test_training_gives_the_looks_and_drift_of_rows_side_by_side(tiny: Weights, tmp_path: Path) -> None:
    data = TrainingSet(
        rows=ROWS, validation=ROWS[:2], probes=[Probe(kind="gold", shown=shown_in(ROWS[0]))],
    )  # fmt: skip
    # One step an epoch: the batches are the same rows, whatever their order.
    one = {
        "batch_rows": len(ROWS),
        "objective": "cit",
        "checkpoint": "best",
        "evaluate_steps": 1,
        "learning_rate": 1e-3,
    }
    plain = train(tmp_path / "sdpa", tiny, changed(**one), data=data)
    ours = train(tmp_path / "segment", tiny, changed(**one, attention="segment"), data=data)
    assert [look.loss for look in ours.looks] == pytest.approx([look.loss for look in plain.looks], rel=1e-5)
    assert ours.looks[0].loss != ours.looks[1].loss
    assert [drift.gold for drift in ours.drift] == pytest.approx([drift.gold for drift in plain.drift], abs=1e-5)
    assert plain.saved_share is None


def test_the_share_of_tokens_that_are_read_once_is_told(tiny: Weights, tmp_path: Path) -> None:
    data = TrainingSet(rows=ROWS)
    tuning = changed(**SEGMENT, micro_batch_rows=4)
    trained = train(tmp_path / "a", tiny, tuning, data=data)
    ordered = order_rows(ROWS, epochs=2, batch_rows=4, seed=0, shared=True)
    budget = 4 * max(row.n_tokens for row in ROWS)
    passes = [
        one
        for start in range(0, len(ordered), 4)
        for one in plan_shared(ordered[start : start + 4], budget=budget, n_vocabulary=400, documents=False)
    ]
    saved = 1 - sum(one.table.n_tokens for one in passes) / sum(one.n_unshared for one in passes)
    assert trained.saved_share == pytest.approx(saved)
    assert saved > 0.3


@pytest.mark.parametrize("objective", OBJECTIVES, ids=["sft", "cit"])
def test_resuming_after_a_kill_gives_the_same_bytes_as_no_kill(
    tiny: Weights, tmp_path: Path, objective: dict[str, Any]
) -> None:
    tuning, data = changed(**SEGMENT, **objective), TrainingSet(rows=ROWS)
    whole = train(tmp_path / "whole", tiny, tuning, data=data)
    with pytest.raises(KilledError):
        train(tmp_path / "killed", tiny, tuning, data=data, progress=kill_at(3))
    assert train(tmp_path / "killed", tiny, tuning, data=data).digest == whole.digest


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dropout": 0.1}, "dropout would draw one mask for it"),
        ({"method": "full"}, "attention segment is for low-rank methods"),
        ({"objective": "dpo"}, "whose rows TRL lays out"),
    ],
)
def test_settings_that_cannot_share_are_refused_with_the_reason(fields: dict[str, Any], reason: str) -> None:
    changed(**fields)
    with pytest.raises(ValidationError, match=reason):
        changed(attention="segment", **fields)


def config(**fields: Any) -> Any:
    return SimpleNamespace(model_type="m", get_text_config=lambda: SimpleNamespace(model_type="m", **fields))


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"attn_logit_softcapping": 50.0}, "m: attn_logit_softcapping = 50.0"),
        ({"sliding_window": 99}, "m: sliding_window = 99"),
        ({"sliding_window": 99, "layer_types": ["full_attention", "sliding_attention"]}, "m: sliding_window = 99"),
        ({"attention_chunk_size": 64, "layer_types": ["chunked_attention"]}, "m: attention_chunk_size = 64"),
    ],
)
def test_attention_that_is_more_than_causal_is_refused_by_its_configuration(fields: dict[str, Any], seen: str) -> None:
    with pytest.raises(ModelError) as caught:
        require_causal(config(**fields), n_tokens=100)
    assert caught.value.seen == seen


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sliding_window": None, "attn_logit_softcapping": None},
        {"sliding_window": 100},
        {"sliding_window": 99, "layer_types": ["full_attention"]},
    ],
)
def test_a_window_that_hides_nothing_is_no_reason_to_refuse(fields: dict[str, Any]) -> None:
    require_causal(config(**fields), n_tokens=100)


def test_a_windowed_model_is_refused_before_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import MistralConfig

    MistralConfig(
        vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=16,
    ).save_pretrained(tmp_path / "model")  # fmt: skip
    monkeypatch.setattr("fourfold.tuning.train.load_base", None)
    weights = Weights(name="m", folder=tmp_path / "model", digest="d")
    with pytest.raises(ModelError, match="sliding_window = 16"):
        train(tmp_path / "a", weights, changed(**SEGMENT), data=TrainingSet(rows=ROWS))


def test_sinks_are_refused_in_the_first_pass_with_the_kernels_reason() -> None:
    model = make_model(PLAIN_ONLY["gpt-oss with sinks"]())
    use_segment_attention(model)
    row = dataclasses.replace(ROWS[1], prompt_ids=(5, 6, 7), answer_ids=(1,))
    (batch,) = plan_shared([row], budget=9, n_vocabulary=97, documents=False)
    with pytest.raises(ModelError, match="s_aux: segment attention has no such thing"):
        shared_loss(model, batch)


def test_a_model_that_keeps_its_own_attention_is_refused_and_not_trained_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_model(RAGGED["llama"]())
    monkeypatch.setattr(type(model), "_can_set_attn_implementation", classmethod(lambda _: False))
    with caplog.at_level(logging.CRITICAL), pytest.raises(ModelError, match="AttentionInterface"):
        use_segment_attention(model)


def test_plain_attention_is_for_the_time_of_a_look(tiny: Weights) -> None:
    model = load_base(tiny, PLAIN, device="cpu")
    ids = torch.tensor([[5, 6, 7]])
    expected = model(input_ids=ids).logits
    with plain_attention(model):
        assert model.config._attn_implementation == "sdpa"
    use_segment_attention(model)
    with pytest.raises(ValueError, match="segment_table is missing"):
        model(input_ids=ids)
    with plain_attention(model):
        torch.testing.assert_close(model(input_ids=ids).logits, expected)
    assert model.config._attn_implementation == "segment"
