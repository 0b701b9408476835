"""The report as plain text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from fourfold.evals.constraints import ConstraintCheck
from fourfold.evals.price_sensitivity import PriceFlip
from fourfold.evals.report.data import ArmDifference, Report
from fourfold.evals.report.sentence import format_estimate

WIDTH = 110


def render_terminal(report: Report) -> str:
    """Verdict, arms, differences on the primary metric, retrieval."""
    lines = [f"fourfold · study {report.study}", ""]
    lines += textwrap.wrap(report.sentence, WIDTH)
    for caveat in report.caveats:
        lines += textwrap.wrap(caveat, WIDTH, initial_indent="  · ", subsequent_indent="    ")
    lines += ["", f"base of every arm: {report.base}"]
    lines += [f"{report.n_questions} test questions, 95% intervals clustered by {report.cluster_kind}", ""]
    metrics = list(report.arms[0].metrics)
    table = [["arm", *(metric.replace("_", " ") for metric in metrics), "refusals", "failed", "tokens in + out"]]
    table += [
        [
            arm.arm,
            *(format_estimate(arm.metrics[metric]) for metric in metrics),
            "–" if arm.refusals.value is None else f"{arm.refusals.value:.0%}",
            str(arm.n_failed),
            "–"
            if arm.prompt_tokens is None or arm.answer_tokens is None
            else f"{arm.prompt_tokens:.0f} + {arm.answer_tokens:.0f}",
        ]
        for arm in report.arms
    ]
    lines += in_columns(table)
    if report.constraints:
        lines += ["", "constraints", ""]
        lines += in_columns([_constraint(check) for check in report.constraints])
    if any(arm.n_failed for arm in report.arms):
        lines += ["", f"{report.primary.replace('_', ' ')} with failed items counted as wrong", ""]
        lines += in_columns([[arm.arm, format_estimate(arm.failed_as_wrong[report.primary])] for arm in report.arms])
    lines += ["", f"paired differences, {report.primary.replace('_', ' ')}", ""]
    shown = [d for d in report.differences if d.metric == report.primary]
    lines += in_columns(
        [["", "difference", "detectable"]]
        + [[f"{d.a} − {d.b}", format_estimate(d.paired.difference, signed=True), _detectable(d)] for d in shown]
        if shown
        else []
    )
    beside = [d for d in report.explained if d.metric == report.primary]
    if beside:
        lines += ["", "knowledge or format: tuned arms minus their controls", ""]
        lines += in_columns([[f"{d.a} − {d.b}", format_estimate(d.paired.difference, signed=True)] for d in beside])
    if report.costs.latency:
        lines += ["", "latency, seconds, one request at a time: p50, p95", ""]
        lines += in_columns(
            [[own.arm, format_estimate(own.p50), format_estimate(own.p95)] for own in report.costs.latency]
        )
    for crossing in report.costs.break_even:
        often = "" if crossing.refreshes_a_month is None else f", {crossing.refreshes_a_month:g} refreshes a month"
        found = crossing.outcome if crossing.n_queries is None else f"{crossing.outcome} = {crossing.n_queries:,}"
        lines += ["", f"break-even of tuned against rag{often}: {found} ({crossing.reason or crossing.unit})"]
    flips = [flip for changed in report.price_sensitivity.ranges for flip in changed.flips]
    if report.price_sensitivity.ranges:
        lines += ["", "prices at which the winner changes (from a tenth to ten times the study's)", ""]
        lines += in_columns([_flip(flip) for flip in flips]) if flips else ["none"]
    effects = report.factorial
    if effects.interaction.value is not None:
        lines += ["", "retrieval × tuning", ""]
        named = {"retrieval": effects.retrieval, "tuning": effects.tuning, "interaction": effects.interaction}
        lines += in_columns([[name, format_estimate(effect, signed=True)] for name, effect in named.items()])
    if report.retrieval:
        lines += ["", "retrieval"]
        lines += in_columns([[name, format_estimate(value)] for name, value in report.retrieval.items()])
    return "\n".join(lines) + "\n"


def _constraint(check: ConstraintCheck) -> list[str]:
    met = {True: "met", False: "not met", None: "not shown to be met"}[check.met]
    value = f"{check.value:.4g} {check.unit}" if check.value is not None else str(check.reason)
    return [check.arm, check.constraint.replace("_", " "), f"{check.limit:g} {check.unit}", met, value]


def _flip(flip: PriceFlip) -> list[str]:
    values = " and ".join(f"{value:,.4g}" for value in flip.values)
    below, above = (winner or "not enough evidence" for winner in (flip.winner_below, flip.winner_above))
    return [f"{flip.what} {values} (× {flip.factor:.2f})", f"below: {below}", f"above: {above}"]


def _detectable(difference: ArmDifference) -> str:
    """The smallest difference from 0 that this study would find with a power of 80%."""
    found = difference.detectable.two_sided
    return "–" if found is None else f"{found:.3f}"


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with cells one under the other."""
    if not rows:
        return ["(one arm only)"]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
