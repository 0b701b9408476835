from __future__ import annotations

from pathlib import Path

import pytest
from support.judges import ScriptedJudge, user_text
from support.questions import make_question

from fourfold.errors import QuestionError
from fourfold.evals.judge.guideline import read_guidelines, render_guidelines, write_guidelines
from fourfold.llm.port import Refusal

QUESTIONS = [make_question("q0"), make_question("q1", reference="it stops"), make_question("q2")]
PASSAGES = {"q0": "The pump runs.", "q1": "The pump stops.", "q2": "It rests."}


def test_a_guideline_is_written_from_passage_and_reference_and_no_answer() -> None:
    judge = ScriptedJudge(write=lambda _: " Names what the pump does. ")
    found = write_guidelines(judge, QUESTIONS, PASSAGES)
    assert [(one.text, one.source, one.failure) for one in found] == [("Names what the pump does.", "judge", None)] * 3
    told = user_text(judge.asked[1])
    assert "| it stops" in told
    assert "| The pump stops." in told
    assert "Answer" not in told


def test_a_question_without_one_has_the_reason() -> None:
    replies = {"runs": "", "stops": Refusal(reason="500: no")}
    judge = ScriptedJudge(
        write=lambda chat: next((replies[word] for word in replies if f"pump {word}." in user_text(chat)), "It rests.")
    )
    found = write_guidelines(judge, QUESTIONS, PASSAGES)
    assert [one.text for one in found] == [None, None, "It rests."]
    assert [one.failure for one in found] == ["the judge wrote nothing", "500: no", None]


def test_what_a_person_changed_comes_back_as_theirs(tmp_path: Path) -> None:
    written = write_guidelines(ScriptedJudge(write=lambda _: "first\nsecond"), QUESTIONS, PASSAGES)
    path = tmp_path / "guidelines.csv"
    path.write_text("\ufeff" + render_guidelines(written).replace("second", "2nd"), encoding="utf-8")
    found = read_guidelines(path, QUESTIONS)
    assert [(one.question_id, one.text, one.source) for one in found] == [
        (question.question_id, "first\n2nd", "person") for question in QUESTIONS
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("", "columns none"),
        ("id,text\n", "columns id, text"),
        ("question_id,guideline\nq0,a\nq1,b\n", "q2: no guideline"),
        ("question_id,guideline\nq0,a\nq0,b\nq1,c\nq2,d\n", "q0 for the second time"),
        ("question_id,guideline\nq0,a\nq9,b\nq1,c\nq2,d\n", "no test question 'q9'"),
        ("question_id,guideline\nq0,\nq1,c\nq2,d\n", "needs a question id and a guideline"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "guidelines.csv"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(QuestionError, match=why):
        read_guidelines(path, QUESTIONS)
