"""The report as Markdown, for a pull request or a wiki: verdict, arms, differences, cost, failures."""

from __future__ import annotations

from collections.abc import Sequence

from fourfold.evals.report.data import Report
from fourfold.evals.report.sentence import format_estimate


def render_markdown(report: Report) -> str:
    """What the terminal shows and, beside it, cost and failure classes, as Markdown tables."""
    primary = report.primary.replace("_", " ")
    lines = [f"# fourfold: {report.study}", "", report.sentence, ""]
    lines += [f"- {caveat}" for caveat in report.caveats]
    lines += ["", f"{report.n_questions} test questions; 95% intervals clustered by {report.cluster_kind}."]
    lines += ["", f"Every arm answers on {report.base}."]
    metrics = list(report.arms[0].metrics)
    lines += _table(
        "Arms",
        ["arm", *(metric.replace("_", " ") for metric in metrics), "failed"],
        [
            [arm.arm, *(format_estimate(arm.metrics[metric]) for metric in metrics), str(arm.n_failed)]
            for arm in report.arms
        ],
    )
    lines += _table(
        f"Paired differences, {primary}",
        ["arms", "difference"],
        [
            [f"{d.a} − {d.b}", format_estimate(d.paired.difference, signed=True)]
            for d in (*report.differences, *report.explained)
            if d.metric == report.primary
        ],
    )
    lines += _table(
        f"Cost, {report.costs.ranking.unit}",
        ["arm", "fixed", "a query", "total", "not known"],
        [
            [bill.arm, _number(bill.fixed), _number(bill.per_query), _number(bill.total), bill.reason or ""]
            for bill in report.costs.bills
        ],
    )
    lines += _table(
        "Where answers went wrong",
        ["arm", *(count.kind for count in report.behaviour[0].failures)],
        [[own.arm, *(str(count.n) for count in own.failures)] for own in report.behaviour],
    )
    return "\n".join(lines) + "\n"


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    body = [[_cell(cell) for cell in row] for row in (head, *rows)]
    written = ["| " + " | ".join(row) + " |" for row in body]
    return ["", f"## {title}", "", written[0], "|" + " --- |" * len(head), *written[1:]]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.6g}"
