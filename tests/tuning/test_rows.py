from __future__ import annotations

import dataclasses

import pytest
from support.questions import make_question

from fourfold.errors import ModelError, QuestionError
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights
from fourfold.prompts import answer_chat
from fourfold.study import DEFAULT_INSTRUCTIONS, ModelSettings
from fourfold.tuning.rows import TuningRow, build_rows, order_rows

QUESTIONS = [make_question("q1", reference="forty litres"), make_question("q2", reference="at noon")]
CONTEXTS = {"q1": ["the pump runs at 40 litres", "the valve"], "q2": ["the valve closes at noon"]}


@pytest.fixture
def engine(tiny: Weights) -> TorchEngine:
    return TorchEngine(tiny, ModelSettings(dtype="float32", quantisation="none"), device="cpu")


def test_each_tuning_prompt_is_byte_equal_to_its_arms_prompt(engine: TorchEngine) -> None:
    rows = build_rows(engine, QUESTIONS, CONTEXTS, instructions=DEFAULT_INSTRUCTIONS, with_context_share=0.5)
    for row in rows:
        question = next(q for q in QUESTIONS if q.question_id == row.question_id)
        contexts = CONTEXTS[row.question_id] if row.form == "with contexts" else None
        asked = answer_chat(DEFAULT_INSTRUCTIONS, question.question, contexts)
        assert row.prompt_ids == engine.encode([asked])[0]
        assert engine.tokenizer.decode(row.prompt_ids).encode() == engine.render(asked).encode()


def test_an_answer_is_the_reference_and_the_end_token(engine: TorchEngine) -> None:
    row = build_rows(engine, QUESTIONS[:1], CONTEXTS, instructions="x", with_context_share=0.0)[0]
    assert engine.tokenizer.decode(row.answer_ids) == "forty litres<|im_end|>"


@pytest.mark.parametrize(
    ("share", "forms"),
    [
        (0.0, ["without contexts"] * 2),
        (0.5, ["without contexts", "with contexts"] * 2),
        (1.0, ["with contexts"] * 2),
    ],
)
def test_the_mixture_has_each_pair_once_in_each_declared_form(
    engine: TorchEngine, share: float, forms: list[str]
) -> None:
    rows = build_rows(engine, QUESTIONS, CONTEXTS, instructions="x", with_context_share=share)
    assert [row.form for row in rows] == forms


def test_no_tuning_questions_is_an_error(engine: TorchEngine) -> None:
    with pytest.raises(QuestionError, match="nothing to tune on"):
        build_rows(engine, [], {}, instructions="x", with_context_share=0.5)


def test_a_template_that_does_not_end_answers_with_the_end_token_is_refused(engine: TorchEngine) -> None:
    engine.tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    with pytest.raises(ModelError, match="teach the model to stop"):
        build_rows(engine, QUESTIONS, CONTEXTS, instructions="x", with_context_share=0.5)


def _row(name: str, n_tokens: int) -> TuningRow:
    return TuningRow(question_id=name, form="with contexts", prompt_ids=tuple(range(n_tokens)), answer_ids=(1,))


def test_order_holds_every_row_once_per_epoch_and_batches_run_longest_first() -> None:
    rows = [_row(str(n), n) for n in range(10)]
    ordered = order_rows(rows, epochs=2, batch_rows=4, seed=1)
    assert sorted(ordered[:10], key=lambda row: row.n_tokens) == rows
    assert sorted(ordered[10:], key=lambda row: row.n_tokens) == rows
    for start in (0, 4, 10, 14):
        lengths = [row.n_tokens for row in ordered[start : start + 4]]
        assert lengths == sorted(lengths, reverse=True)
    assert ordered[:10] != ordered[10:]


def test_order_follows_from_the_seed() -> None:
    rows = [_row(str(n), n) for n in range(10)]
    assert order_rows(rows, epochs=1, batch_rows=4, seed=1) == order_rows(rows, epochs=1, batch_rows=4, seed=1)
    assert order_rows(rows, epochs=1, batch_rows=4, seed=1) != order_rows(rows, epochs=1, batch_rows=4, seed=2)


def test_questions_differ_only_where_they_should(engine: TorchEngine) -> None:
    other = [dataclasses.replace(QUESTIONS[0], quote="another quote", page=9)]
    rows = [
        build_rows(engine, questions, CONTEXTS, instructions="x", with_context_share=0.5)
        for questions in (QUESTIONS[:1], other)
    ]
    assert rows[0] == rows[1]
