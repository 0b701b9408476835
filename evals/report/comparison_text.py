"""The comparison of two studies as it is shown: on a terminal and as JSON."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Sequence

from fourfold.evals.report.comparison import ComparedMetric, Difference, StudyComparison
from fourfold.evals.report.sentence import format_estimate
from fourfold.evals.report.terminal import WIDTH, in_columns


def comparison_as_json(comparison: StudyComparison) -> str:
    """The comparison as JSON, undefined figures as null with their reason."""
    return json.dumps(dataclasses.asdict(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def render_comparison(comparison: StudyComparison) -> str:
    """What differs, what must be read with the figures, a row for each arm and metric, what one study has alone."""
    lines = [f"fourfold · A = {comparison.a}, B = {comparison.b}", ""]
    lines += ["settings that differ:" if comparison.settings else "settings that differ: none"]
    for found in comparison.settings:
        lines += textwrap.wrap(_told(found), WIDTH, initial_indent="  ", subsequent_indent="    ")
    if comparison.base_model:
        lines += textwrap.wrap(f"the base model differs: {'; '.join(map(_told, comparison.base_model))}", WIDTH)
    for caveat in comparison.caveats:
        lines += textwrap.wrap(caveat, WIDTH, initial_indent="  · ", subsequent_indent="    ")
    lines += ["", f"{comparison.n_questions} test questions, 95% intervals clustered by {comparison.cluster_kind}"]
    if comparison.n_left_out:
        lines += [f"{comparison.n_left_out} more on documents that tuning did not see are left out"]
    if comparison.rows:
        lines += [f"p two-sided; adjusted by Benjamini–Hochberg over all {len(comparison.rows)} rows", ""]
        lines += in_columns(_table(comparison.rows))
    else:
        lines += ["no arm and metric in common"]
    one_only = [
        f"{kind} of {name} only: {', '.join(own)}"
        for name, only in (("A", comparison.only_a), ("B", comparison.only_b))
        for kind, own in (("arms", only.arms), ("metrics", only.metrics))
        if own
    ]
    return "\n".join([*lines, *([""] if one_only else []), *one_only]) + "\n"


def _told(found: Difference) -> str:
    a, b = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in (found.a, found.b))
    return f"{found.key}: A {a} | B {b}"


def _table(rows: Sequence[ComparedMetric]) -> list[list[str]]:
    failed = any(row.failed_as_wrong is not None and row.difference.n_missing for row in rows)
    table = [["arm", "metric", "A", "B", "A − B", "p", "adjusted", "pairs", "missing"]]
    table += [
        [
            *(row.arm, row.metric.replace("_", " "), _number(row.a.value), _number(row.b.value)),
            *(format_estimate(row.difference, signed=True), _number(row.p.value), _number(row.p_adjusted)),
            *(str(row.difference.n), str(row.difference.n_missing)),
        ]
        for row in rows
    ]
    if failed:
        table[0].append("A − B, failed as wrong")
        for cells, row in zip(table[1:], rows, strict=True):
            wrong = row.failed_as_wrong
            cells.append("" if wrong is None else format_estimate(wrong, signed=True))
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else "<0.001" if 0 < value < 0.0005 else f"{value:.3f}"
