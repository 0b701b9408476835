"""Which configuration stands for an arm: the best on validation questions; test questions have no part in it.

Fairness rule 5: every arm is tried at the same points on the same validation questions. A failed item counts as wrong
here, so that a configuration is never better for the hard questions that it failed on (mean over the rest).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from fourfold.errors import FairnessError
from fourfold.evals.clusters import choose_clusters
from fourfold.evals.estimate import Estimate
from fourfold.evals.seed_scores import Scores, SeedScores, on_each, scores_mean
from fourfold.evals.verdict import wrong_where_failed
from fourfold.types import Answer, Question, Score

# Means of the same scores added up in another order differ by less.
_DECIMALS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One arm at one point of the grid, on the validation questions.

    Args:
        arm: its name.
        point: number of the point, from 1.
        configuration: equal for two points exactly where they are the same to this arm.
        validation: mean of the primary metric, failed items counted as 0.
        n_failed: answers that there are not; over all tuning seeds.
        tokens: mean prompt + answer tokens of an answer; None where nothing was answered.
    """

    arm: str
    point: int
    configuration: str
    validation: Estimate
    n_failed: int
    tokens: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The point that stands for an arm, out of how many points and how many that differ for it."""

    arm: str
    point: int
    n_points: int
    n_configurations: int


def judge(
    arm: str,
    questions: Sequence[Question],
    answers: Iterable[Answer],
    scores: Iterable[Score],
    *,
    metric: str,
    place: tuple[int, str],
) -> Trial:
    """One arm's trial from the rows of a point.

    Args:
        arm: its name.
        questions: the validation questions.
        answers: of any arms; the arm's own are looked at.
        scores: likewise.
        metric: the primary metric.
        place: number of the point and name of the configuration, see `Trial`.
    """
    own = [answer for answer in answers if answer.arm == arm]
    done = [answer for answer in own if answer.text is not None]
    _, names = choose_clusters([q.doc_id for q in questions], [" › ".join(q.section) for q in questions])
    clusters = {question.question_id: name for question, name in zip(questions, names, strict=True)}
    return Trial(
        arm=arm,
        point=place[0],
        configuration=place[1],
        validation=scores_mean(on_each(_scores(scores, arm, metric), wrong_where_failed), clusters),
        n_failed=len(own) - len(done),
        tokens=fmean(answer.n_prompt_tokens + answer.n_answer_tokens for answer in done) if done else None,
    )


def choose(trials: Sequence[Trial]) -> tuple[Choice, ...]:
    """Each arm's best point by validation mean; of equal ones that with the fewest tokens, then the first.

    Args:
        trials: of every arm, each at every point.

    Returns:
        One choice an arm, arms in the order in which they first stand in `trials`.

    Raises:
        FairnessError: an arm was tried at other points, or on another number of questions, than the first.
    """
    by_arm: dict[str, list[Trial]] = {}
    for trial in trials:
        by_arm.setdefault(trial.arm, []).append(trial)
    tried = {arm: [(t.point, t.validation.n) for t in own] for arm, own in by_arm.items()}
    for arm, effort in tried.items():
        first = next(iter(tried))
        if sorted(effort) != sorted(tried[first]):
            raise FairnessError(
                "the arms were not tried equally",
                seen=f"{first}: {len(tried[first])} trial(s), {arm}: {len(effort)} trial(s), or other questions",
                expected="the same points and the same validation questions for every arm",
                hint="run the sweep again in a new working folder, and report this",
            )
    return tuple(
        Choice(
            arm=arm,
            point=min(own, key=_rank).point,
            n_points=len(own),
            n_configurations=len({trial.configuration for trial in own}),
        )
        for arm, own in by_arm.items()
    )


def _rank(trial: Trial) -> tuple[float, float, int]:
    value = trial.validation.value
    return (
        0.0 if value is None else -round(value, _DECIMALS),
        float("inf") if trial.tokens is None else trial.tokens,
        trial.point,
    )


def _scores(scores: Iterable[Score], arm: str, metric: str) -> Scores:
    runs: dict[int | None, dict[str, float | None]] = {}
    for score in scores:
        if (score.arm, score.metric) == (arm, metric):
            runs.setdefault(score.tuning_seed, {})[score.question_id] = score.value
    only, *more = runs.values()
    return SeedScores([only, *more]) if more else only
