"""Which answer a question is tuned on, chosen among those that are correct.

Sources: GRAPE, Zhang et al. 2025 (arXiv 2502.04194): of several answers the one that the model to be tuned finds most
likely, here by mean log-probability a token. S3FT, Gupta et al. 2025 (arXiv 2502.08130): the model's own answer where
it is right, else the reference. Where we differ: correct means that the answer states the question's key facts, no
judge is asked; S3FT's middle way, a paraphrase of the reference by the model, is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from fourfold.types import Question

IsCorrect = Callable[[str, Question], bool]


def select_own(
    questions: Sequence[Question], own: Mapping[str, Sequence[str]], is_correct: IsCorrect
) -> tuple[Question, ...]:
    """S3FT: with the first of the model's own answers that is correct in place of the reference.

    Args:
        questions: tuning questions.
        own: by question id, what the model answered; the one wanted most in front.
        is_correct: whether an answer states the question's key facts.
    """
    return tuple(
        dataclasses.replace(question, reference=correct[0]) if correct else question
        for question in questions
        for correct in [[text for text in own[question.question_id] if text and is_correct(text, question)]]
    )


def select_likely(
    questions: Sequence[Question],
    own: Mapping[str, Sequence[str]],
    is_correct: IsCorrect,
    likelihood: Callable[[Sequence[tuple[Question, Sequence[str]]]], Sequence[Sequence[float]]],
) -> tuple[Question, ...]:
    """GRAPE: with the likeliest of reference and correct own answers as the reference; of equal ones the first.

    Args:
        questions: tuning questions.
        own: by question id, what the model answered.
        is_correct: whether an answer states the question's key facts.
        likelihood: per question the mean log-probability of each candidate under the untuned model.
    """
    asked = [
        (q, tuple(dict.fromkeys([q.reference, *(text for text in own[q.question_id] if text and is_correct(text, q))])))
        for q in questions
    ]
    return tuple(
        dataclasses.replace(question, reference=candidates[max(range(len(values)), key=values.__getitem__)])
        for (question, candidates), values in zip(asked, likelihood(asked), strict=True)
    )
