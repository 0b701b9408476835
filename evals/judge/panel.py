"""Everything the judges said, made into one score per answer and criterion: a metric named "judge: …" like others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourfold.evals.judge.jury import JuryAgreement, agreement, combine
from fourfold.evals.judge.rasch import Severity, judge_severity
from fourfold.evals.judge.rubric import RUBRICS, Rubric
from fourfold.study import Criterion, JudgeSettings
from fourfold.types import Answer, Judgement, Score

# An answer: arm, tuning seed, question id.
Place = tuple[str, int | None, str]
# Per judge, per answer, each repeat's value.
Said = Mapping[str, Mapping[Place, Sequence[float | None]]]


def metric_of(criterion: str) -> str:
    """The name under which a criterion's scores stand beside other metrics."""
    return f"judge: {criterion}"


def said_by(judgements: Sequence[Judgement], criterion: str, *, from_repeat: int = 0) -> Said:
    """Values per judge and answer; in a debate those of the last round, which has the highest repeat, alone."""
    said: dict[str, dict[Place, list[float | None]]] = {}
    for one in judgements:
        if one.criterion == criterion and one.repeat >= from_repeat:
            own = said.setdefault(one.judge, {})
            own.setdefault((one.arm, one.tuning_seed, one.question_id), []).append(one.value)
    return said


def combined_scores(
    settings: JudgeSettings,
    judgements: Sequence[Judgement],
    answers: Sequence[Answer],
    unjudged: Mapping[Place, str],
) -> list[Score]:
    """One row per criterion and answer.

    An answer has a score where every judge gave one in every repeat: a jury that sits with fewer on some answers would
    be another jury there.

    Args:
        settings: criteria, and how several judgements become one.
        judgements: of all judges, criteria and repeats.
        answers: all of them.
        unjudged: why an answer was not given to a judge at all.
    """
    failures = {
        (one.criterion, one.arm, one.tuning_seed, one.question_id): f"{one.judge}: {one.failure}"
        for one in judgements
        if one.failure is not None
    }
    rows = []
    for criterion in settings.criteria:
        values = _values(settings, judgements, criterion)
        for answer in answers:
            place = (answer.arm, answer.tuning_seed, answer.question_id)
            value = values.get(place)
            reason = None if value is not None else unjudged.get(place) or failures.get((criterion, *place))
            assert value is not None or reason is not None
            rows.append(
                Score(
                    arm=answer.arm,
                    tuning_seed=answer.tuning_seed,
                    question_id=answer.question_id,
                    metric=metric_of(criterion),
                    value=value,
                    reason=reason,
                )
            )
    return rows


def _values(settings: JudgeSettings, judgements: Sequence[Judgement], criterion: Criterion) -> dict[Place, float]:
    said = said_by(judgements, criterion, from_repeat=last_round(settings))
    levels = [level.value for level in RUBRICS[criterion].levels]
    fair = (
        dict(zip(_places(said), severity_of(said, RUBRICS[criterion]).fair, strict=True)) if settings.severity else {}
    )
    found: dict[Place, float] = {}
    for place in _places(said):
        values = [value for of_judge in said.values() for value in of_judge[place]]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            continue
        without_severity = fair.get(place)
        found[place] = combine(known, settings.combine, levels) if without_severity is None else without_severity
    return found


def last_round(settings: JudgeSettings) -> int:
    """The first repeat that counts: in a debate of a jury the one after all others, else 0."""
    return settings.repeats if debates(settings) else 0


def debates(settings: JudgeSettings) -> bool:
    """Whether there is a second round: one judge has nobody to hear."""
    return settings.debate and len(settings.judges) > 1


def severity_of(said: Said, rubric: Rubric) -> Severity:
    """How severe each judge is; each judge's rating of an answer is the level nearest to its mean over repeats."""
    # Two levels may be worth the same (wrong, refusal): to severity they are one.
    worth = sorted({level.value for level in rubric.levels})
    ratings = {judge: [_nearest(of_judge[place], worth) for place in _places(said)] for judge, of_judge in said.items()}
    return judge_severity(ratings, worth)


def agreement_of(said: Said) -> JuryAgreement:
    """How far the judges agree, and how far each agrees with itself."""
    return agreement({judge: [of_judge[place] for place in _places(said)] for judge, of_judge in said.items()})


def _places(said: Said) -> list[Place]:
    """The answers judged, the same for every judge."""
    return list(next(iter(said.values()), {}))


def _nearest(values: Sequence[float | None], worth: Sequence[float]) -> int | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    mean = sum(known) / len(known)
    return min(range(len(worth)), key=lambda at: abs(worth[at] - mean))
