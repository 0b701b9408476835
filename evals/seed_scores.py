"""The scores of an arm that was tuned with several seeds: per question their mean, each seed's own kept beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from fourfold.errors import FairnessError
from fourfold.evals.estimate import Estimate
from fourfold.evals.seeds import seeds_mean

Scores = Mapping[str, float | None]


class SeedScores(Mapping[str, float | None]):
    """A mapping of question id to the mean score over the seeds; None where one seed did not finish the question.

    Args:
        runs: per tuning seed, its score per question id.

    Raises:
        FairnessError: the seeds' questions differ.
    """

    def __init__(self, runs: Sequence[Scores]) -> None:
        if any(run.keys() != runs[0].keys() for run in runs):
            raise FairnessError(
                "the tuning seeds of an arm were not given the same questions",
                seen=f"{', '.join(str(len(run)) for run in runs)} questions",
                expected="the same questions for every seed",
                hint="run the answer stage again for every seed",
            )
        self.runs = tuple(runs)
        self._means = {question: _mean([run[question] for run in runs]) for question in runs[0]}

    def __getitem__(self, question: str) -> float | None:
        return self._means[question]

    def __iter__(self) -> Iterator[str]:
        return iter(self._means)

    def __len__(self) -> int:
        return len(self._means)

    def each(self, change: Callable[[Scores], Scores]) -> SeedScores:
        """The same change made to every seed's scores."""
        return SeedScores([change(run) for run in self.runs])


def runs_of(scores: Scores) -> tuple[Scores, ...]:
    """Each seed's scores; an arm without seeds has one."""
    return scores.runs if isinstance(scores, SeedScores) else (scores,)


def on_each(scores: Scores, change: Callable[[Scores], Scores]) -> Scores:
    """A change made to the scores, of every seed where there are seeds."""
    return scores.each(change) if isinstance(scores, SeedScores) else change(scores)


def scores_mean(scores: Scores, clusters: Mapping[str, str], *, level: float = 0.95) -> Estimate:
    """The mean of one arm's scores, seeds as a random factor where there are several.

    Args:
        scores: score per question id; None where it is missing.
        clusters: cluster per question id, of every question.
        level: coverage of the interval, in (0, 1).
    """
    questions = list(scores)
    values = [[run[question] for question in questions] for run in runs_of(scores)]
    return seeds_mean(values, [clusters[question] for question in questions], level=level).estimate


def paired_mean(
    a: Scores,
    b: Scores,
    clusters: Mapping[str, str],
    *,
    level: float = 0.95,
) -> Estimate:
    """The mean of a − b over the questions that both finished; two arms with seeds are paired seed by seed.

    Args:
        a: score per question id; None where it is missing.
        b: the same questions' scores of the other arm.
        clusters: cluster per question id, of every question.
        level: coverage of the interval, in (0, 1).

    Raises:
        FairnessError: both have seeds, and not the same number of them.
    """
    of_a, of_b = runs_of(a), runs_of(b)
    n_seeds = max(len(of_a), len(of_b))
    if min(len(of_a), len(of_b)) not in {1, n_seeds}:
        raise FairnessError(
            "two arms were tuned with different seeds",
            seen=f"{len(of_a)} and {len(of_b)} seeds",
            expected="the same seeds for every tuned arm",
            hint="run the study again: all tuned arms use tuning.seeds",
        )
    differences = [
        [_minus(of_a[s % len(of_a)][question], of_b[s % len(of_b)][question]) for question in a] for s in range(n_seeds)
    ]
    return seeds_mean(differences, [clusters[question] for question in a], level=level).estimate


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
