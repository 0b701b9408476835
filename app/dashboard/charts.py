"""Charts as Vega-Lite: values with their intervals.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which colour-blind people tell apart; shape and
position say the same once more, for print without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fourfold.evals.report.data import ArmDifference, ArmSummary

BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#767676"
_ROW_PX = 34


def arms_chart(arms: Sequence[ArmSummary], metric: str) -> dict[str, Any]:
    """Every arm's mean with its interval, on a scale from 0 to 1; arms without a value are left out."""
    rows = [
        {
            "name": arm.arm,
            "kind": "contestant" if arm.role == "contestant" else "beside the contest",
            "value": arm.metrics[metric].value,
            "low": arm.metrics[metric].low,
            "high": arm.metrics[metric].high,
        }
        for arm in arms
        if arm.metrics[metric].value is not None
    ]
    return _intervals(
        rows, title=f"{words(metric)}, mean with 95% interval", domain=[0, 1], order=[a.arm for a in arms]
    )


def differences_chart(differences: Sequence[ArmDifference], metric: str, *, margin: float) -> dict[str, Any]:
    """Paired differences with their intervals, with lines at 0 and at ± the margin of the verdict.

    Args:
        differences: of one metric.
        metric: its name.
        margin: in the metric's unit, above 0.
    """
    rows = [
        {
            "name": f"{d.a} − {d.b}",
            "kind": "shown to differ" if excludes_zero(d) else "not shown to differ",
            "value": d.paired.difference.value,
            "low": d.paired.difference.low,
            "high": d.paired.difference.high,
        }
        for d in differences
        if d.paired.difference.value is not None
    ]
    order = [f"{d.a} − {d.b}" for d in differences]
    spec = _intervals(rows, title=f"{words(metric)}, paired difference with 95% interval", domain=None, order=order)
    lines = [{"at": 0.0, "dash": "0"}, {"at": margin, "dash": "margin"}, {"at": -margin, "dash": "margin"}]
    guide = {
        "data": {"values": lines},
        "mark": {"type": "rule", "color": GREY},
        "encoding": {
            "x": {"field": "at", "type": "quantitative"},
            "strokeDash": {
                "field": "dash",
                "type": "nominal",
                "scale": {"domain": ["0", "margin"], "range": [[1, 0], [4, 4]]},
                "legend": None,
            },
        },
    }
    return {**spec, "layer": [guide, *spec["layer"]]}


def excludes_zero(difference: ArmDifference) -> bool:
    """Whether the interval of a difference stands wholly on one side of 0."""
    low, high = difference.paired.difference.low, difference.paired.difference.high
    return low is not None and high is not None and (low > 0 or high < 0)


def words(name: str) -> str:
    """A metric's name for people."""
    return name.replace("_", " ")


def _intervals(
    rows: Sequence[dict[str, Any]], *, title: str, domain: list[float] | None, order: list[str]
) -> dict[str, Any]:
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    strong = [kind for kind in kinds if kind in {"contestant", "shown to differ"}]
    named = strong + [kind for kind in kinds if kind not in strong]
    first, second = (BLUE, VERMILLION) if strong else (VERMILLION, BLUE)
    legend = {"title": None, "orient": "top"} if len(named) > 1 else None
    x: dict[str, Any] = {"field": "value", "type": "quantitative", "title": title, "axis": {"tickCount": 6}}
    if domain:
        x["scale"] = {"domain": domain}
    y = {"field": "name", "type": "nominal", "title": None, "sort": order, "axis": {"labelLimit": 400}}
    color: dict[str, Any] = {"field": "kind", "type": "nominal", "legend": legend}
    color["scale"] = {"domain": named, "range": [first, second][: len(named)]}
    shape = {**color, "scale": {"domain": named, "range": ["circle", "diamond"][: len(named)]}}
    interval = {
        "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
        "mark": {"type": "rule", "strokeWidth": 3},
        "encoding": {"y": y, "color": color, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
    }
    point = {
        "mark": {"type": "point", "filled": True, "size": 130, "opacity": 1},
        "encoding": {"y": y, "color": color, "shape": shape, "x": x},
    }
    return {
        "data": {"values": list(rows)},
        "height": {"step": _ROW_PX},
        "background": "white",
        "config": {"font": "sans-serif", "axis": {"labelFontSize": 13, "titleFontSize": 13}},
        "layer": [interval, point],
    }
