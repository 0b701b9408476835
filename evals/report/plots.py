"""The report's plots as SVG inside the page: no reference to anywhere, the same bytes whenever they are drawn.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which colour-blind people tell apart. Shape, dash and a
label beside each mark say the same once more, for print without colour.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fourfold.evals.break_even import BreakEven
from fourfold.evals.cost import TOKENS, ArmCost
from fourfold.evals.estimate import Estimate
from fourfold.evals.report.data import ArmDifference, ArmSummary, Report
from fourfold.evals.report.drawing import (
    BAND,
    BLACK,
    SOFT,
    WIDTH,
    Box,
    Point,
    Words,
    add_axes,
    box_of,
    draw_interval,
    draw_svg,
    label_ends,
    label_points,
    plain_ticks,
    scale_cost,
    short,
    text_size,
)
from fourfold.evals.report.sentence import format_estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Per arm: colour and marker. An arm that is not listed is still told by its label.
_LOOKS: Mapping[str, tuple[str, str]] = {
    "base": ("#000000", "o"),
    "base n-shot": ("#E69F00", "p"),
    "rag": ("#0072B2", "s"),
    "rag n-shot": ("#56B4E9", "v"),
    "tuned": ("#D55E00", "^"),
    "tuned + rag": ("#009E73", "D"),
}
_OTHER = (BLACK, "X")
_ROW = 19.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawing, or the words that stand in its place.

    Args:
        svg: an `<svg>` element; None where there is nothing to draw.
        reason: why `svg` is None, or what is left out of it; None where nothing is.
    """

    svg: str | None
    reason: str | None


def quality_against_cost(report: Report) -> Plot:
    """Mean primary metric with its interval against the cost a query, per contestant, with the Pareto front."""
    arms = [arm for arm in report.arms if arm.role == "contestant"]
    costs, values = report.costs.ranking.values, {arm.arm: arm.metrics[report.primary].value for arm in arms}
    drawn = [arm for arm in arms if values[arm.arm] is not None and costs.get(arm.arm) is not None]
    left_out = ", ".join(arm.arm for arm in arms if arm not in drawn)
    if not drawn:
        return Plot(svg=None, reason="No plot of quality against cost: no arm has both a score and a cost.")
    each = "; ".join(
        f"{_named(arm, report)} {format_estimate(arm.metrics[report.primary])} at {short(costs[arm.arm] or 0.0)}"
        for arm in drawn
    )
    words = Words(
        name="quality-cost",
        title=f"{_words(report.primary).capitalize()} against cost a query",
        text=f"In {report.costs.ranking.unit} a query: {each}. Pareto front: {', '.join(report.pareto)}.",
    )
    svg = draw_svg(words, 290, lambda figure: _draw_quality(figure, report, drawn))
    return Plot(svg=svg, reason=f"Not drawn, without a score or a cost: {left_out}." if left_out else None)


def paired_differences(report: Report) -> Plot:
    """Forest plot of every pair of contestants on the primary metric, with the margin of the verdict."""
    pairs = [d for d in report.differences if d.metric == report.primary]
    if not pairs:
        return Plot(svg=None, reason="No plot of differences: the study has one arm only.")
    if all(d.paired.difference.value is None for d in pairs):
        return Plot(svg=None, reason="No plot of differences: no pair of arms finished a question in common.")
    each = "; ".join(f"{d.a} − {d.b} {format_estimate(d.paired.difference, signed=True)}" for d in pairs)
    words = Words(
        name="differences",
        title=f"Paired differences in {_words(report.primary)}",
        text=f"First arm minus second: {each}. Margin ±{report.verdict.margin:g}.",
    )
    height = 70 + _ROW * len(pairs)
    return Plot(svg=draw_svg(words, height, lambda figure: _draw_differences(figure, report, pairs)), reason=None)


def break_even_plot(report: Report) -> Plot:
    """Bills of the tuned and the RAG arm over the number of queries, without corpus refreshes, and where they cross."""
    bills = {bill.arm: bill for bill in report.costs.bills}
    crossing = next((b for b in report.costs.break_even if b.refreshes_a_month is None), None)
    if crossing is None:
        if not {"tuned", "rag"} <= bills.keys():
            return Plot(svg=None, reason="No break-even: the study does not have both tuned and rag.")
        no_prices = any(bill.unit == TOKENS for bill in bills.values())
        return Plot(svg=None, reason=f"No break-even: {'no prices' if no_prices else 'it was not computed'}.")
    if crossing.n_queries is None:
        return Plot(svg=None, reason=_no_crossing(crossing))
    words = Words(
        name="break-even",
        title=f"Total cost of {crossing.tuned} and {crossing.rag} against the number of queries",
        text=_crossing_words(crossing),
    )
    pair = (bills[crossing.tuned], bills[crossing.rag])
    reason = f"{crossing.reason[0].upper()}{crossing.reason[1:]}." if crossing.reason else None
    return Plot(svg=draw_svg(words, 280, lambda figure: _draw_bills(figure, crossing, pair)), reason=reason)


def _no_crossing(b: BreakEven) -> str:
    why = f" ({b.reason})" if b.reason else ""
    if b.outcome == "never":
        return f"No break-even: {b.tuned} is never cheaper than {b.rag}, at no number of queries{why}."
    if b.outcome == "from the first query":
        return f"No break-even to draw: {b.tuned} is cheaper than {b.rag} from the first query on{why}."
    return f"No break-even: not known{why}."


def _crossing_words(b: BreakEven) -> str:
    ends = ("…" if b.low is None else f"{b.low:,}", "no upper end" if b.high is None else f"{b.high:,}")
    interval = ", no interval" if b.low is None and b.high is None else f" [{', '.join(ends)}]"
    where = f"from {b.n_queries:,} {b.unit} on" if b.outcome == "from n" else f"up to {b.n_queries:,} {b.unit}"
    return f"{b.tuned} costs no more than {b.rag} {where}{interval}"


def _draw_quality(figure: Figure, report: Report, arms: Sequence[ArmSummary]) -> None:
    axes = add_axes(figure, left=44, right=12, bottom=38, top=42)
    means = {arm.arm: arm.metrics[report.primary] for arm in arms}
    points = {arm: (report.costs.ranking.values[arm] or 0.0, mean.value or 0.0) for arm, mean in means.items()}
    scale_cost(axes, [cost for cost, _ in points.values()])
    ends = [end for mean in means.values() for end in (mean.value, mean.low, mean.high) if end is not None]
    low, high = max(0.0, min(ends)), min(1.0, max(ends))
    room = 0.12 * max(high - low, 0.1)
    axes.set_ylim(low - room, high + room)
    axes.set_xlabel(f"cost a query, {report.costs.ranking.unit}")
    axes.set_title(f"{_words(report.primary)}, mean with 95% interval", loc="left", fontsize=10, pad=26)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    covered = _draw_front(axes, [points[arm] for arm in report.pareto if arm in points])
    for place, (arm, (cost, value)) in enumerate(points.items()):
        colour, marker = _look(arm)
        look = (colour, f"interval-{place}")
        if shown := draw_interval(axes, means[arm], at=cost, bounds=(0.0, 1.0), upright=True, look=look):
            covered.append((points[arm], box_of(axes, (cost, shown[0]), (cost, shown[1]), pad=4.5)))
        axes.plot([cost], [value], marker, color=colour, markersize=8.5, markeredgecolor=BLACK, markeredgewidth=0.8,
                  gid=f"arm-{place}", zorder=4)  # fmt: skip
        wins = arm == report.verdict.winner
        covered.append((points[arm], box_of(axes, points[arm], points[arm], pad=12.0 if wins else 6.0)))
        if wins:
            axes.plot([cost], [value], "o", markersize=19, markerfacecolor="none", markeredgecolor=BLACK,
                      markeredgewidth=1.6, gid="winner", label="winner of the verdict", zorder=4)  # fmt: skip
    label_points(axes, {_named(arm, report): points[arm.arm] for arm in arms}, covered)
    # Half the size in the legend, so that the ring stands in a line of text.
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, frameon=False, markerscale=0.5)


def _draw_front(axes: Axes, front: Sequence[Point]) -> list[tuple[Point | None, Box]]:
    """A step from each arm of the front to the next one, cheapest first, and on to the edge."""
    if not front:
        return []
    right = axes.get_xlim()[1]
    corners = [front[0]]
    for (_, before), (cost, value) in itertools.pairwise(front):
        corners += [(cost, before), (cost, value)]
    corners.append((right, front[-1][1]))
    xs, ys = zip(*corners, strict=True)
    axes.plot(xs, ys, color=SOFT, linewidth=1.3, dashes=(5, 3), gid="front", zorder=2,
              label="Pareto front: no arm is both better and cheaper")  # fmt: skip
    return [(None, box_of(axes, a, b, pad=1.0)) for a, b in itertools.pairwise(corners)]


def _draw_differences(figure: Figure, report: Report, pairs: Sequence[ArmDifference]) -> None:
    names = [f"{d.a} − {d.b}" for d in pairs]
    told = [_told(d.paired.difference) for d in pairs]
    left, right = (12 + max(text_size(text, size=9)[0] for text in texts) for texts in (names, told))
    axes = add_axes(figure, left=left, right=right, bottom=52, top=18)
    margin, rows = report.verdict.margin, range(len(pairs))
    drawn = [d.paired.difference for d in pairs]
    ends = [end for e in drawn for end in (e.value, e.low, e.high) if end is not None]
    low, high = max(-1.0, min([*ends, -margin])), min(1.0, max([*ends, margin]))
    room = 0.06 * (high - low)
    axes.set_xlim(low - room, high + room)
    axes.set_ylim(len(pairs) - 0.4, -0.6)
    axes.axvspan(-margin, margin, facecolor=BAND, edgecolor="none", gid="margin", zorder=0)
    for edge in (-margin, margin):
        axes.axvline(edge, color=SOFT, linewidth=0.8, dashes=(3, 2), zorder=1)
    axes.axvline(0.0, color=BLACK, linewidth=1.2, gid="zero", zorder=1)
    above = axes.get_xaxis_transform()
    axes.text(0.0, 1.0, f"margin ±{margin:g}", transform=above, ha="center", va="bottom", fontsize=9)
    for row, estimate in zip(rows, drawn, strict=True):
        draw_interval(axes, estimate, at=row, bounds=(-1.0, 1.0), upright=False, look=("#0072B2", f"interval-{row}"))
        if estimate.value is not None:
            axes.plot([estimate.value], [row], "s", color="#0072B2", markersize=6.5, gid=f"difference-{row}", zorder=4)
        axes.text(1.0, row, f"  {told[row]}", transform=axes.get_yaxis_transform(), va="center_baseline", fontsize=9)
    axes.set_yticks(list(rows), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"difference in {_words(report.primary)}, 95% interval\n← second arm better · first arm better →")


def _draw_bills(figure: Figure, b: BreakEven, bills: tuple[ArmCost, ArmCost]) -> None:
    assert b.n_queries is not None
    right = 14 + max(text_size(bill.arm, size=10)[0] for bill in bills)
    axes = add_axes(figure, left=58, right=right, bottom=38, top=46)
    first, last = _reach(b, bills[0].n_queries)
    queries = [first * (last / first) ** (step / 120) for step in range(121)]
    totals = [[_total(bill, n) for n in queries] for bill in bills]
    axes.set_xscale("log")
    axes.set_xlim(first, last)
    plain_ticks(axes, "x", first, last)
    low, high = min(map(min, totals)), max(map(max, totals))
    if low > 0:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.5, high * 1.5)
        plain_ticks(axes, "y", low / 1.5, high * 1.5)
    else:
        axes.set_ylim(0.0, 1.05 * high or 1.0)
    for place, (bill, total, line) in enumerate(zip(bills, totals, ("-", (0, (6, 2.5))), strict=True)):
        colour, marker = _look(bill.arm)
        axes.plot(queries, total, marker=marker, color=colour, linewidth=2, linestyle=line, gid=f"bill-{place}",
                  zorder=3, markersize=7, markevery=(15, 30), markeredgecolor=BLACK, markeredgewidth=0.8)  # fmt: skip
    if b.low is not None:
        axes.axvspan(b.low, last if b.high is None else b.high, facecolor=BAND, edgecolor="none", gid="band", zorder=0)
        for end in (b.low, b.high or b.low):
            axes.axvline(end, color=SOFT, linewidth=0.8, dashes=(3, 2), zorder=1)
    axes.axvline(b.n_queries, color=BLACK, linewidth=1, zorder=2)
    axes.plot([b.n_queries], [_total(bills[0], b.n_queries)], "o", markersize=8, color=BLACK, gid="crossing", zorder=5)
    label_ends(axes, [(bill.arm, total[-1]) for bill, total in zip(bills, totals, strict=True)], last)
    axes.set_xlabel("number of queries")
    axes.set_title(f"total cost, {bills[0].unit}", loc="left", fontsize=10, pad=6)
    figure.text(2 / WIDTH, 1 - 4 / figure.bbox.height, _crossing_words(b), va="top", fontsize=10, weight="bold")


def _reach(b: BreakEven, n_queries: int) -> tuple[float, float]:
    """Fewest and most queries drawn: a tenth and ten times of what is marked and of the study's own number."""
    assert b.n_queries is not None
    known = [b.n_queries, n_queries, *(end for end in (b.low, b.high) if end is not None)]
    # An upper end far out would press the crossing into the edge: the band then runs out of the plot.
    return max(1.0, min(known) / 10), 10.0 * min(max(known), 1000 * max(b.n_queries, n_queries))


def _total(bill: ArmCost, n: float) -> float:
    # A break-even is computed only where both are known.
    assert bill.fixed is not None
    assert bill.per_query is not None
    return bill.fixed + n * bill.per_query


def _named(arm: ArmSummary, report: Report) -> str:
    mean = arm.metrics[report.primary]
    notes = ["winner"] * (arm.arm == report.verdict.winner) + ["no interval"] * (mean.low is None or mean.high is None)
    return f"{arm.arm} ({', '.join(notes)})" if notes else arm.arm


def _told(estimate: Estimate) -> str:
    """The figures without the reasons, which stand in the table."""
    if estimate.value is None:
        return "no value"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.3f}, no interval"
    return format_estimate(estimate, signed=True)


def _look(arm: str) -> tuple[str, str]:
    return _LOOKS.get(arm, _OTHER)


def _words(name: str) -> str:
    return name.replace("_", " ")
