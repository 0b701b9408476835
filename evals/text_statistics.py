"""What the answers look like as texts: how long they are and how much they vary. Neither says that they are right."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.text import squad_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.evals.estimate import Estimate

NO_INTERVAL = "no interval: drawing clusters again repeats answers, which lowers the share by itself"


def answer_length(answers: Sequence[str | None], clusters: Sequence[str], *, level: float = 0.95) -> Estimate:
    """Mean words per answer, split at white space, with the cluster-robust interval. An empty answer has 0.

    Args:
        answers: one per question; None where there is none.
        clusters: one cluster per question.
        level: coverage of the interval, in (0, 1).

    Raises:
        InputError: the two differ in length, or `level` is outside (0, 1).
    """
    return cluster_mean([None if text is None else float(len(text.split())) for text in answers], clusters, level=level)


def distinct_share(answers: Sequence[str | None], clusters: Sequence[str], *, n: int) -> Estimate:
    """Distinct-n: distinct n-grams of all answers together / all their n-grams; higher is more diverse.

    Source: Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models".
    Where we differ: they divide the distinct bigrams by the number of words, we by the number of bigrams, so that
    answers without a repetition have 1 at every n; and words are SQuAD's (no case, punctuation or articles). It falls
    with the number of words by itself: compare arms on the same questions and beside `answer_length`.

    Args:
        answers: one per question; None where there is none.
        clusters: one cluster per question.
        n: words of an n-gram, at least 1; n-grams do not cross answers.

    Returns:
        In (0, 1], without an interval and with the reason for that; None where no answer has n words.

    Raises:
        InputError: `n` is below 1, or answers and clusters differ in length.
    """
    if n < 1:
        raise InputError("distinct-n has no n", seen=n, expected="a whole number from 1 up", hint="1 and 2 are usual")
    tokens = [squad_tokens(text) for text in answers if text is not None]
    grams = [tuple(words[i : i + n]) for words in tokens for i in range(len(words) - n + 1)]
    # For its checks and counts: as many values as there are answers.
    counted = cluster_mean([None if text is None else 1.0 for text in answers], clusters)
    return replace(
        counted,
        value=len(set(grams)) / len(grams) if grams else None,
        low=None,
        high=None,
        se=None,
        dof=None,
        method=f"distinct-{n}, higher is more diverse",
        reason=NO_INTERVAL if grams else f"no answer has {n} words",
    )
