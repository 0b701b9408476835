"""Where questions come from: the study's language model, cloze, or a file of the user's; one Protocol for all three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fourfold.ingest.candidates import Candidate, Skip
from fourfold.ingest.generate import Generated, GenerationSettings, Write, generate_questions
from fourfold.ingest.questions_file import count_rows, read_questions
from fourfold.study import QuestionSettings
from fourfold.types import Block, Document, Question


class Generator(Protocol):
    """Gives questions about documents."""

    def generate(
        self, documents: Sequence[Document], blocks: Sequence[Block], *, n_wanted: int, skip: Skip | None = None
    ) -> Generated:
        """At most `n_wanted` questions about the documents, none about a sentence that is skipped.

        Raises:
            FairnessError: tuning questions cannot cover every document.
            QuestionError: a file's questions do not fit the documents.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmGenerator:
    """The language model behind `write` asks and answers, in two steps; tuning questions."""

    write: Write
    settings: GenerationSettings

    def generate(
        self, documents: Sequence[Document], blocks: Sequence[Block], *, n_wanted: int, skip: Skip | None = None
    ) -> Generated:
        """See `generate_questions`."""
        return generate_questions(documents, blocks, self.write, n_wanted=n_wanted, settings=self.settings, skip=skip)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileGenerator:
    """A person's questions, from JSONL, CSV or SQuAD JSON by the file's ending; test questions."""

    path: Path
    subset: str | None = None

    def generate(
        self,
        documents: Sequence[Document],
        blocks: Sequence[Block],
        *,
        n_wanted: int | None = None,
        skip: Skip | None = None,
    ) -> Generated:
        """The file's first questions, None all of them; what a person asked is never skipped."""
        del skip
        questions = read_questions(self.path, documents, blocks, subset=self.subset)
        return Generated(questions=questions[:n_wanted], refused={}, n_tried=len(questions))


def overlapping(questions: Sequence[Question]) -> Skip:
    """Skips every sentence that shares a character with a question's quote."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for question in questions:
        spans.setdefault(question.doc_id, []).append((question.start, question.end))

    def skip(candidate: Candidate) -> bool:
        return any(start < candidate.end and candidate.start < end for start, end in spans.get(candidate.doc_id, ()))

    return skip


def any_of(*skips: Skip) -> Skip:
    """Skips what one of them skips."""
    return lambda candidate: any(skip(candidate) for skip in skips)


def describe_test_questions(settings: QuestionSettings) -> str:
    """Where a study's test questions come from, their file's form checked.

    Raises:
        QuestionError: the file is not there, or its lines are wrong.
    """
    if settings.file is None:
        return f"{settings.n_test} to be made by cloze from the documents, not reviewed (questions.file is not set)"
    return f"{count_rows(settings.file, subset=settings.subset)} rows"
