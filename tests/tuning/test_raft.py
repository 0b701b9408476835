from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from support.questions import make_question

from fourfold.errors import QuestionError
from fourfold.tuning.raft import RaftExample, build_raft, gold_chunk, quoting_answer
from fourfold.types import Chunk, Question


def chunk(number: int, *, doc_id: str = "d1", text: str | None = None) -> Chunk:
    return Chunk(
        chunk_id=f"{doc_id}-{number}", doc_id=doc_id, position=number, start=100 * number, end=100 * number + 120,
        page_first=1, page_last=1, section=("S",), n_tokens=20, text=text or f"text of {doc_id} {number}",
    )  # fmt: skip


# Chunks overlap by 20 characters; the quote of question n stands at the start of chunk n alone.
CHUNKS = [chunk(n, text=f"{n} The pump {n} runs.") for n in range(1, 9)] + [chunk(1, doc_id="d2")]
QUESTIONS = [
    make_question(f"q{n}", start=100 * n + 40, end=100 * n + 60, quote=f"The pump {n} runs.", reference=f"it runs {n}")
    for n in range(1, 9)
]


def rank(questions: Sequence[Question], k: int) -> Mapping[str, Sequence[Chunk]]:
    return {question.question_id: CHUNKS[:k] for question in questions}


def build(
    questions: Sequence[Question] = QUESTIONS, *, n_distractors: int = 2, gold_share: float = 1.0, seed: int = 0
) -> dict[str, RaftExample]:
    return build_raft(questions, CHUNKS, rank, n_distractors=n_distractors, gold_share=gold_share, seed=seed)


def test_the_gold_chunk_holds_the_whole_quote_verbatim() -> None:
    assert gold_chunk(QUESTIONS[2], CHUNKS) == CHUNKS[2]
    assert gold_chunk(make_question("q", start=190, end=230, quote="The pump 1 runs."), CHUNKS) is None
    assert gold_chunk(make_question("q", start=140, end=160, quote="Other words."), CHUNKS) is None


def test_the_answer_quotes_the_evidence_before_it_concludes() -> None:
    assert quoting_answer(QUESTIONS[0]) == 'The passage says: "The pump 1 runs." So: it runs 1'
    found = build()
    for question in QUESTIONS:
        example = found[question.question_id]
        assert example.gold is not None
        assert question.quote in example.contexts[example.gold]
        assert question.quote in example.answer


def test_distractors_are_the_next_best_chunks_and_hold_no_evidence() -> None:
    example = build()["q1"]
    assert len(example.contexts) == 3
    assert set(example.contexts) == {CHUNKS[0].text, CHUNKS[1].text, CHUNKS[2].text}
    assert sum(QUESTIONS[0].quote in context for context in example.contexts) == 1


def test_the_gold_chunk_stands_at_places_drawn_by_the_seed() -> None:
    assert len({example.gold for example in build().values()}) > 1
    assert build(seed=1) == build(seed=1) != build(seed=2)


def test_without_its_gold_chunk_a_row_shows_as_many_passages() -> None:
    found = build(gold_share=0.0)
    assert {example.gold for example in found.values()} == {None}
    assert {len(example.contexts) for example in found.values()} == {3}
    assert not any(q.quote in context for q in QUESTIONS for context in found[q.question_id].contexts)


def test_the_share_of_rows_with_gold_is_about_p() -> None:
    many = [make_question(f"m{n}", start=140, end=160, quote="The pump 1 runs.") for n in range(400)]
    shown = sum(example.gold is not None for example in build(many, gold_share=0.8).values())
    assert 290 < shown < 350


def test_questions_without_a_chunk_that_holds_their_quote_are_left_out() -> None:
    crossing = make_question("x", start=190, end=230, quote="The pump 1 runs.")
    assert set(build([*QUESTIONS[:2], crossing])) == {"q1", "q2"}
    with pytest.raises(QuestionError, match="no tuning question can be put"):
        build([crossing])


def test_a_corpus_without_enough_chunks_is_refused() -> None:
    with pytest.raises(QuestionError, match=r"9 chunk\(s\), 8 distractor"):
        build(n_distractors=8)
