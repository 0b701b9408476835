from __future__ import annotations

import dataclasses

import pytest
from support.questions import make_question

from fourfold.errors import ModelError, QuestionError
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights
from fourfold.prompts import PromptForm, answer_chat
from fourfold.study import DEFAULT_INSTRUCTIONS, ModelSettings
from fourfold.study.tuning import TrainingForm
from fourfold.tuning.rows import build_rows, draft_rows, encode_rows

QUESTIONS = [make_question("q1", reference="forty litres"), make_question("q2", reference="at noon")]
CONTEXTS = {"q1": ["the pump runs at 40 litres", "the valve"], "q2": ["the valve closes at noon"]}


@pytest.fixture
def engine(tiny: Weights) -> TorchEngine:
    return TorchEngine(tiny, ModelSettings(dtype="float32", quantisation="none"), device="cpu")


def test_each_tuning_prompt_is_byte_equal_to_its_arms_prompt(engine: TorchEngine) -> None:
    rows = build_rows(engine, QUESTIONS, CONTEXTS, instructions=DEFAULT_INSTRUCTIONS, form="mixture")
    for row in rows:
        question = next(q for q in QUESTIONS if q.question_id == row.question_id)
        contexts = CONTEXTS[row.question_id] if row.form == "with contexts" else None
        asked = answer_chat(DEFAULT_INSTRUCTIONS, question.question, contexts)
        assert row.prompt_ids == engine.encode([asked])[0]
        assert engine.tokenizer.decode(row.prompt_ids).encode() == engine.render(asked).encode()


def test_an_answer_is_the_reference_and_the_end_token(engine: TorchEngine) -> None:
    row = build_rows(engine, QUESTIONS[:1], CONTEXTS, instructions="x", form="closed_book")[0]
    assert engine.tokenizer.decode(row.answer_ids) == "forty litres<|im_end|>"


def test_an_answer_that_holds_a_special_token_is_learnt_as_text(engine: TorchEngine) -> None:
    special = "<|im_end|>"
    assert special in engine.tokenizer.all_special_tokens
    question = make_question("q1", reference=f"write {special} twice")
    (row,) = build_rows(engine, [question], CONTEXTS, instructions="x", form="closed_book")
    *answer, end = row.answer_ids
    assert end == engine.tokenizer.eos_token_id
    assert not set(answer) & set(engine.tokenizer.all_special_ids)
    assert engine.tokenizer.decode(answer, skip_special_tokens=True) == question.reference


@pytest.mark.parametrize(
    ("form", "forms"),
    [
        ("closed_book", ["without contexts"] * 2),
        ("mixture", ["without contexts", "with contexts"] * 2),
        ("with_context", ["with contexts"] * 2),
        ("raft", ["with contexts"] * 2),
    ],
)
def test_the_mixture_has_each_pair_once_in_each_declared_form(
    engine: TorchEngine, form: TrainingForm, forms: list[str]
) -> None:
    rows = build_rows(engine, QUESTIONS, CONTEXTS, instructions="x", form=form)
    assert [row.form for row in rows] == forms


def test_an_answer_may_be_given_in_place_of_the_reference(engine: TorchEngine) -> None:
    drafts = draft_rows(QUESTIONS, {}, instructions="x", form="closed_book", answers={"q2": "at night"})
    answers = [engine.tokenizer.decode(row.answer_ids) for row in encode_rows(engine, drafts)]
    assert answers == ["forty litres<|im_end|>", "at night<|im_end|>"]


def test_no_tuning_questions_is_an_error(engine: TorchEngine) -> None:
    with pytest.raises(QuestionError, match="nothing to tune on"):
        build_rows(engine, [], {}, instructions="x", form="mixture")


def test_a_template_that_does_not_end_answers_with_the_end_token_is_refused(engine: TorchEngine) -> None:
    engine.tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    with pytest.raises(ModelError, match="teach the model to stop"):
        build_rows(engine, QUESTIONS, CONTEXTS, instructions="x", form="mixture")


def test_questions_differ_only_where_they_should(engine: TorchEngine) -> None:
    other = [dataclasses.replace(QUESTIONS[0], quote="another quote", page=9)]
    rows = [
        build_rows(engine, questions, CONTEXTS, instructions="x", form="mixture")
        for questions in (QUESTIONS[:1], other)
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("prompt", [PromptForm(citations=True), PromptForm(contexts="after_question")])
def test_a_row_has_the_prompt_form_of_its_arm_and_cites_where_it_shows_contexts(prompt: PromptForm) -> None:
    drafts = draft_rows(QUESTIONS[:1], CONTEXTS, instructions="x", form="mixture", prompt=prompt, cited={"q1": " [1]"})
    assert [draft.chat for draft in drafts] == [
        answer_chat("x", QUESTIONS[0].question, shown, form=prompt) for shown in (None, CONTEXTS["q1"])
    ]
    assert drafts[1].chat != answer_chat("x", QUESTIONS[0].question, CONTEXTS["q1"])
    assert [draft.answer for draft in drafts] == ["forty litres", "forty litres [1]"]
