"""What a sweep says, as data (`sweep.json` is this) and as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fourfold.evals.estimate import Estimate
from fourfold.evals.report.data import ArmDifference, ArmSummary, Report
from fourfold.evals.report.sentence import format_estimate
from fourfold.evals.report.terminal import WIDTH, in_columns
from fourfold.evals.selection import Choice, Trial
from fourfold.evals.verdict import Verdict

GENERATED = (
    "Configurations were chosen on questions that the study's model wrote, which may favour others than people's "
    "questions would."
)
NOT_IN_A_SWEEP = (
    "A sweep has no latency pass and no single-form adapters; prices of index and tuning are those of one chosen point."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PointShown:
    """One point: the swept settings as 'key=value', the whole study, and the keys of its stages' results."""

    number: int
    changes: tuple[str, ...]
    settings: Mapping[str, Any]
    results: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenShown:
    """One arm at the point that was chosen for it; `results` address the rows of its test answers and scores."""

    choice: Choice
    changes: tuple[str, ...]
    test: Estimate
    tokens: float | None
    results: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """The whole sweep. Everything from `verdict` on is of the test questions, each arm at its chosen point."""

    study: str
    sentence: str
    caveats: tuple[str, ...]
    primary: str
    n_validation: int
    n_questions: int
    points: tuple[PointShown, ...]
    trials: tuple[Trial, ...]
    chosen: tuple[ChosenShown, ...]
    verdict: Verdict
    arms: tuple[ArmSummary, ...]
    differences: tuple[ArmDifference, ...]
    explained: tuple[ArmDifference, ...]


def build_sweep_report(
    report: Report,
    points: Sequence[PointShown],
    trials: Sequence[Trial],
    choices: Sequence[Choice],
    *,
    n_validation: int,
    tested: Mapping[int, Mapping[str, str]],
) -> SweepReport:
    """Put a sweep's parts together.

    Args:
        report: of the test questions, each arm at its chosen point.
        points: all points.
        trials: of every arm at every point.
        choices: one an arm.
        n_validation: validation questions.
        tested: by number of a chosen point, keys of its stages' results.
    """
    changes = {point.number: point.changes for point in points}
    arms = {arm.arm: arm for arm in report.arms}
    chosen = [
        ChosenShown(
            choice=choice,
            changes=changes[choice.point],
            test=arms[choice.arm].metrics[report.primary],
            tokens=_tokens(arms[choice.arm]),
            results=tested[choice.point],
        )
        for choice in choices
    ]
    return SweepReport(
        study=report.study,
        sentence=f"{report.sentence} {effort(choices, n_validation)}",
        caveats=(*report.caveats, GENERATED, NOT_IN_A_SWEEP),
        primary=report.primary,
        n_validation=n_validation,
        n_questions=report.n_questions,
        points=tuple(points),
        trials=tuple(trials),
        chosen=tuple(chosen),
        verdict=report.verdict,
        arms=report.arms,
        differences=report.differences,
        explained=report.explained,
    )


def effort(choices: Sequence[Choice], n_validation: int) -> str:
    """How much was tried for each arm, for the verdict's line (fairness rule 5)."""
    different = {choice.arm: choice.n_configurations for choice in choices}
    tried = choices[0].n_points
    text = f"{tried} configurations were tried for every arm on the same {n_validation} validation question(s)"
    if set(different.values()) == {tried}:
        return f"{text}."
    # A setting that an arm does not use makes no new configuration of it.
    return f"{text}; of these differ for the arm: {', '.join(f'{arm} {n}' for arm, n in different.items())}."


def render_sweep(report: SweepReport) -> str:
    """Verdict, every trial with the chosen ones marked, test results of the chosen ones."""
    lines = [f"fourfold · sweep of study {report.study}", ""]
    lines += textwrap.wrap(report.sentence, WIDTH)
    for caveat in report.caveats:
        lines += textwrap.wrap(caveat, WIDTH, initial_indent="  · ", subsequent_indent="    ")
    metric = report.primary.replace("_", " ")
    lines += ["", f"{metric} on {report.n_validation} validation question(s), failed counted as wrong; > chosen", ""]
    changes = {point.number: " ".join(point.changes) for point in report.points}
    marked = {(chosen.choice.arm, chosen.choice.point) for chosen in report.chosen}
    table = [["", "arm", "point", "settings", metric, "failed", "tokens"]]
    for arm in (chosen.choice.arm for chosen in report.chosen):
        table += [
            [
                ">" if (arm, trial.point) in marked else "",
                *(arm, str(trial.point), changes[trial.point], format_estimate(trial.validation)),
                *(str(trial.n_failed), _number(trial.tokens)),
            ]
            for trial in report.trials
            if trial.arm == arm
        ]
    lines += in_columns(table)
    lines += ["", f"{metric} on {report.n_questions} test questions, each arm as chosen", ""]
    table = [["arm", "point", "settings", metric, "tokens"]]
    for chosen in report.chosen:
        settings = " ".join(chosen.changes)
        arm, point = chosen.choice.arm, str(chosen.choice.point)
        table.append([arm, point, settings, format_estimate(chosen.test), _number(chosen.tokens)])
    lines += in_columns(table)
    lines += ["", f"paired differences, {metric}, test questions", ""]
    lines += in_columns(
        [
            [f"{d.a} − {d.b}", format_estimate(d.paired.difference, signed=True)]
            for d in report.differences
            if d.metric == report.primary
        ]
    )
    return "\n".join(lines) + "\n"


def _tokens(arm: ArmSummary) -> float | None:
    return None if arm.prompt_tokens is None or arm.answer_tokens is None else arm.prompt_tokens + arm.answer_tokens


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
