"""What must be known of the test questions before acting on the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from fourfold.types import Question


def question_caveats(judged: Sequence[Question], unanswerable: Sequence[Question]) -> tuple[str, ...]:
    """How generated questions bend the comparison, and what became of unanswerable ones.

    Args:
        judged: the questions that the verdict rests on.
        unanswerable: questions that nothing in the documents answers.
    """
    found = []
    n_cloze = sum(question.kind.startswith("cloze") for question in judged)
    if n_cloze:
        found.append(
            f"{n_cloze} of {len(judged)} test questions are cloze: each repeats its sentence with a word left out, so "
            "that a search finds it more easily than what people ask. This favours the arms that retrieve."
        )
    if unanswerable:
        found.append(
            f"{len(unanswerable)} further questions were made so that nothing in the documents answers them. They "
            "stand in no score but precision and recall of refusals, and a few may be answerable by chance."
        )
    return tuple(found)
