from __future__ import annotations

import dataclasses

import pytest
from support.questions import make_question

from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings
from fourfold.tuning.clean import clean_rows
from fourfold.tuning.dry_run import find_faults, over_limit, show_examples
from fourfold.tuning.rows import TuningRow, build_rows

QUESTIONS = [make_question("q1", reference="forty litres"), make_question("q2", reference="at noon")]
CONTEXTS = {"q1": ["the pump runs at 40 litres"], "q2": ["the valve closes at noon"]}


@pytest.fixture
def engine(tiny: Weights) -> TorchEngine:
    return TorchEngine(tiny, ModelSettings(dtype="float32", quantisation="none"), device="cpu")


@pytest.fixture
def rows(engine: TorchEngine) -> tuple[TuningRow, ...]:
    return build_rows(engine, QUESTIONS, CONTEXTS, instructions="Answer.", form="mixture")


def test_one_example_a_form_is_shown_with_its_trained_tokens_marked(
    engine: TorchEngine, rows: tuple[TuningRow, ...]
) -> None:
    closed, opened = show_examples(engine, rows)
    assert (closed.form, opened.form) == ("without contexts", "with contexts")
    assert closed.text.endswith("<|im_start|>assistant\n⟦forty litres<|im_end|>⟧")
    assert "the pump runs at 40 litres" in opened.text.partition("⟦")[0]
    assert (closed.n_prompt_tokens, closed.n_trained_tokens, closed.n_rows) == (
        len(rows[0].prompt_ids), len(rows[0].answer_ids), 2
    )  # fmt: skip


def test_rows_as_they_should_be_have_no_fault(engine: TorchEngine, rows: tuple[TuningRow, ...]) -> None:
    assert find_faults(rows, (), end_id=engine.tokenizer.eos_token_id, answer_tokens=48) == []


def test_every_fault_is_told_with_its_mending(engine: TorchEngine, rows: tuple[TuningRow, ...]) -> None:
    end = engine.tokenizer.eos_token_id
    endless = dataclasses.replace(rows[0], answer_ids=(*rows[0].answer_ids[:-1], 5))
    kept, dropped = clean_rows([endless, rows[1], dataclasses.replace(rows[2], answer_ids=(end,))], max_tokens=2000)
    faults = find_faults(kept, dropped, end_id=end, answer_tokens=len(rows[1].answer_ids) - 1)
    assert [fault.what for fault in faults] == [
        "rows without a trained token",
        "answers that would be cut off when they are given",
        "answers without the end token",
    ]
    assert [str(fault.seen).split(" ")[0] for fault in faults] == ["q2", "q1", "q1"]
    assert "raise answer.max_tokens" in faults[1].hint


def test_general_instructions_are_under_no_arms_limit(rows: tuple[TuningRow, ...]) -> None:
    general = dataclasses.replace(rows[0], form="general")
    assert over_limit([rows[0], general], 1) == [rows[0]]
