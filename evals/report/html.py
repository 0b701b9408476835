"""The report as one static HTML file: no script, no request to anywhere."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fourfold.evals.estimate import Estimate
from fourfold.evals.report.data import Report
from fourfold.evals.report.plots import break_even_plot, paired_differences, quality_against_cost
from fourfold.evals.report.sentence import format_estimate


def render_html(report: Report) -> str:
    """The whole report. All text is escaped: what a PDF or a model says is data."""
    environment = Environment(
        loader=PackageLoader("fourfold.evals.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["estimate"] = format_estimate
    environment.filters["signed"] = lambda estimate: format_estimate(estimate, signed=True)
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["number"] = _number
    environment.filters["json"] = _flat
    plots = {
        "quality": quality_against_cost(report),
        "differences": paired_differences(report),
        "break_even": break_even_plot(report),
    }
    template = environment.get_template("template.html.j2")
    page: str = template.render(report=report, plots=plots, bar=_bar, spread=_spread)
    return page


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, value) pairs."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _flat(item, f"{prefix}.{key}" if prefix else str(key))]
    return [(prefix, str(value))]


def _bar(estimate: Estimate) -> dict[str, float] | None:
    """Where value and interval stand on a scale from 0 to 1, percent."""
    if estimate.value is None:
        return None
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    left, right = max(0.0, low), min(1.0, high)
    return {"value": 100 * estimate.value, "left": 100 * left, "width": 100 * (right - left)}


def _spread(estimate: Estimate) -> dict[str, float] | None:
    """The same for a difference, on a scale from −1 to 1."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    left, right = max(-1.0, estimate.low), min(1.0, estimate.high)
    return {"value": 50 + 50 * estimate.value, "left": 50 + 50 * left, "width": 50 * (right - left)}
