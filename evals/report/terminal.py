"""The report as plain text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from fourfold.evals.report.data import Report
from fourfold.evals.report.sentence import format_estimate

_WIDTH = 110


def render_terminal(report: Report) -> str:
    """Verdict, arms, differences on the primary metric, retrieval."""
    lines = [f"fourfold · study {report.study}", ""]
    lines += textwrap.wrap(report.sentence, _WIDTH)
    for caveat in report.caveats:
        lines += textwrap.wrap(caveat, _WIDTH, initial_indent="  · ", subsequent_indent="    ")
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
    lines += _columns(table)
    lines += ["", f"paired differences, {report.primary.replace('_', ' ')}", ""]
    lines += _columns(
        [
            [f"{d.a} − {d.b}", format_estimate(d.paired.difference, signed=True)]
            for d in report.differences
            if d.metric == report.primary
        ]
    )
    beside = [d for d in report.explained if d.metric == report.primary]
    if beside:
        lines += ["", "knowledge or format: tuned arms minus their controls", ""]
        lines += _columns([[f"{d.a} − {d.b}", format_estimate(d.paired.difference, signed=True)] for d in beside])
    if report.costs.latency:
        lines += ["", "latency, seconds, one request at a time: p50, p95", ""]
        lines += _columns(
            [[own.arm, format_estimate(own.p50), format_estimate(own.p95)] for own in report.costs.latency]
        )
    for crossing in report.costs.break_even:
        often = "" if crossing.refreshes_a_month is None else f", {crossing.refreshes_a_month:g} refreshes a month"
        found = crossing.outcome if crossing.n_queries is None else f"{crossing.outcome} = {crossing.n_queries:,}"
        lines += ["", f"break-even of tuned against rag{often}: {found} ({crossing.reason or crossing.unit})"]
    effects = report.factorial
    if effects.interaction.value is not None:
        lines += ["", "retrieval × tuning", ""]
        named = {"retrieval": effects.retrieval, "tuning": effects.tuning, "interaction": effects.interaction}
        lines += _columns([[name, format_estimate(effect, signed=True)] for name, effect in named.items()])
    if report.retrieval:
        lines += ["", "retrieval"]
        lines += _columns([[name, format_estimate(value)] for name, value in report.retrieval.items()])
    return "\n".join(lines) + "\n"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return ["(one arm only)"]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
