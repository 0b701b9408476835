from __future__ import annotations

from pathlib import Path

import pytest

from fourfold.errors import QuestionError
from fourfold.ingest.candidates import Candidate
from fourfold.ingest.writing_prompts import WritingPrompts, read_prompts

CANDIDATE = Candidate(
    doc_id="d", document="manual.pdf", page=1, section=("Manual", "Seals"), start=0, end=9, quote="Seals {leak}."
)


def write(folder: Path, question: str | None, answer: str | None) -> Path:
    for name, text in (("question.txt", question), ("answer.txt", answer)):
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_without_a_folder_the_prompts_are_ours() -> None:
    assert read_prompts(None) == WritingPrompts()
    assert [turn.role for turn in read_prompts(None).question_chat(CANDIDATE)] == [
        "system",
        *["user", "assistant"] * 3,
        "user",
    ]


def test_only_where_there_are_tags_the_prompt_has_a_line_for_them() -> None:
    prompts = WritingPrompts()
    plain, tagged = prompts.question_chat(CANDIDATE), prompts.question_chat(CANDIDATE, ("crop: maize", "crop: rye"))
    assert plain[-1].content == "Section: Seals\nSentence: Seals {leak}."
    assert tagged[-1].content == "Section: Seals\nAbout: crop: maize; crop: rye\nSentence: Seals {leak}."
    assert plain[:-1] == tagged[:-1]
    assert prompts.answer_chat(CANDIDATE, "Q?") == prompts.answer_chat(CANDIDATE, "Q?", ("crop: maize",))


def test_a_template_is_the_whole_prompt_with_its_placeholders_filled(tmp_path: Path) -> None:
    folder = write(tmp_path, "{document}/{section} [{tags}] {{x}}: {sentence}", "{question} -> {sentence}")
    prompts = read_prompts(folder)
    (turn,) = prompts.question_chat(CANDIDATE, ("a: b",))
    assert (turn.role, turn.content) == ("user", "manual.pdf/Seals [a: b] {x}: Seals {leak}.")
    (turn,) = prompts.answer_chat(CANDIDATE, "Do {they}?")
    assert turn.content == "Do {they}? -> Seals {leak}."


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        (None, "{question} {sentence}", "question.txt: "),
        ("{sentence}", None, "answer.txt: "),
        ("{section}", "{question} {sentence}", "question.txt: {sentence} is missing"),
        ("{sentence}", "{sentence}", "answer.txt: {question} is missing"),
        ("{sentence} {answer}", "{question} {sentence}", "question.txt: {answer} is no placeholder"),
        ("{sentence} {question}", "{question} {sentence}", "question.txt: {question} is no placeholder"),
        ("{sentence} {", "{question} {sentence}", "question.txt: "),
        ("{sentence!r:>9}", "{question} {sentence}", "a placeholder is a name in braces and nothing else"),
        ("{sentence.quote} {sentence}", "{question} {sentence}", "{sentence.quote} is no placeholder"),
        ("{} {sentence}", "{question} {sentence}", "{} is no placeholder"),
    ],
)
def test_what_is_wrong_with_a_template_is_told(
    tmp_path: Path, question: str | None, answer: str | None, said: str
) -> None:
    with pytest.raises(QuestionError) as error:
        read_prompts(write(tmp_path, question, answer))
    assert said in str(error.value)
    assert error.value.hint


def test_mistakes_of_both_files_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"(?s)question\.txt: .*answer\.txt: "):
        read_prompts(write(tmp_path, "x", "y"))
