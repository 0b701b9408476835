"""Drawing with matplotlib for a page: inline SVG, axes in points, intervals, ticks, labels that keep clear.

Sizes are points at the size shown, and a plot is as wide as a printed A4 page allows.
"""

from __future__ import annotations

import io
import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from fourfold.evals.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 496.0
BLACK, SOFT, BAND = "#000000", "#595959", "#d9d9d9"
_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Text as text, and a $ in it is a currency.
    "svg.fonttype": "none",
    "text.parse_math": False,
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
Point = tuple[float, float]
# Where a name may stand: points from its mark, near before far, and eighths of π, to the right first.
_GAPS, _TURNS = (9, 14, 20, 28, 38, 50, 64), (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a plot says without being seen. `name` begins all of its ids."""

    name: str
    title: str
    text: str


def draw_svg(words: Words, height: float, draw: Callable[[Figure], None]) -> str:
    """Draws at 72 dots an inch, so that a pixel is a point."""
    from matplotlib import style
    from matplotlib.figure import Figure

    # "default" first: the reader's own settings of matplotlib change nothing here.
    with style.context(["default", {**_STYLE, "svg.hashsalt": words.name}]), warnings.catch_warnings():
        # The page's reader draws the text, in a font that may know more than the one measured with.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        draw(figure)
        file = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", facecolor="none", metadata=nothing)
    return _for_page(file.getvalue(), words)


def _for_page(drawn: str, words: Words) -> str:
    """The element without what belongs to a file of its own, its ids beginning with the plot's name.

    A style sheet inside an inline SVG would hold for the whole page.
    """
    root = ET.fromstring(drawn)  # noqa: S314 - drawn above, not read from anywhere
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"}:
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        old = dict(element.attrib)
        element.attrib.clear()
        for name, value in old.items():
            element.set(name.replace(f"{{{_XLINK}}}", "xlink:"), _own(name, value, words.name))
    title, text = ET.Element("title"), ET.Element("desc", {"id": f"{words.name}-desc"})
    title.text, text.text = words.title, words.text
    root[:0] = [title, text]
    root.attrib |= {
        "xmlns": _SVG, "xmlns:xlink": _XLINK, "role": "img", "aria-label": words.title,
        "aria-describedby": f"{words.name}-desc", "style": "stroke-linejoin: round; stroke-linecap: butt",
    }  # fmt: skip
    return ET.tostring(root, encoding="unicode")


def _own(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name.endswith("href"):
        return value.replace("#", f"#{prefix}-")
    if name == "style":
        return value.replace("'DejaVu Sans', sans-serif", "sans-serif")
    return value.replace("url(#", f"url(#{prefix}-")


def add_axes(figure: Figure, *, left: float, right: float, bottom: float, top: float) -> Axes:
    """Axes with these margins, in points."""
    width, height = figure.bbox.width, figure.bbox.height
    return figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )


def draw_interval(
    axes: Axes, estimate: Estimate, *, at: float, bounds: tuple[float, float], upright: bool, look: tuple[str, str]
) -> tuple[float, float] | None:
    """A line from end to end; an arrow where an end lies outside what the metric can be. Returns the ends drawn."""
    if estimate.low is None or estimate.high is None:
        return None
    colour, gid = look
    low, high = max(bounds[0], estimate.low), min(bounds[1], estimate.high)
    caps = ("_" if low == estimate.low else "v", "_" if high == estimate.high else "^")
    if not upright:
        caps = ("|" if low == estimate.low else "<", "|" if high == estimate.high else ">")

    def place(*ends: float) -> tuple[list[float], list[float]]:
        along, across = list(ends), [at] * len(ends)
        return (across, along) if upright else (along, across)

    axes.plot(*place(low, high), color=colour, linewidth=1.8, gid=gid, zorder=3)
    for end, cap in zip((low, high), caps, strict=True):
        axes.plot(*place(end), cap, color=colour, markersize=8 if cap in "_|" else 5, markeredgewidth=1.8, zorder=3)
    return low, high


def scale_cost(axes: Axes, costs: Sequence[float]) -> None:
    """Logarithmic where the dearest arm costs at least twice the cheapest: there the ratio is what counts."""
    low, high = min(costs), max(costs)
    if low > 0 and high >= 2 * low:
        room = (high / low) ** 0.12
        axes.set_xscale("log")
        axes.set_xlim(low / room, high * room)
        plain_ticks(axes, "x", *axes.get_xlim())
    else:
        room = 0.15 * (high - low) or 0.1 * high or 1.0
        axes.set_xlim(low - room, high + room)
        axes.locator_params(axis="x", nbins=6)
        axes.ticklabel_format(axis="x", style="plain", useOffset=False)


def plain_ticks(axes: Axes, which: str, low: float, high: float) -> None:
    """Ticks at 1, 2, 5 times powers of ten, at the powers alone where they are many; written out, not as powers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 1e3 else (1,)
    every = 1 + len(powers) // 8
    ticks = [step * 10.0**power for power in powers[::every] for step in steps if low <= step * 10.0**power <= high]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What is covered already, in points from the lower left of the figure."""

    x0: float
    y0: float
    x1: float
    y1: float

    def shared(self, other: Box) -> float:
        """Area in both."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(0.0, width) * max(0.0, height)

    def area(self) -> float:
        """Of the box itself."""
        return self.shared(self)


def box_of(axes: Axes, a: Point, b: Point, *, pad: float) -> Box:
    """What a line from a to b, in the units of the axes, covers with `pad` points around it."""
    (ax, ay), (bx, by) = axes.transData.transform([a, b])
    return Box(x0=min(ax, bx) - pad, y0=min(ay, by) - pad, x1=max(ax, bx) + pad, y1=max(ay, by) + pad)


def label_points(axes: Axes, points: Mapping[str, Point], covered: list[tuple[Point | None, Box]]) -> None:
    """Each name as near its point as it stands free of marks and of the names before it; a line leads to a far one.

    Args:
        axes: with their final limits.
        points: per name, in the units of the axes.
        covered: what names must leave free, with the point it belongs to; the names are added.
    """
    whole = Box(x0=axes.bbox.x0, y0=axes.bbox.y0, x1=axes.bbox.x1, y1=axes.bbox.y1)
    for name, point in points.items():
        x, y = axes.transData.transform(point)
        width, height = text_size(name, size=10)
        best, where, far = math.inf, (0.0, 0.0), False
        for gap, turn in itertools.product(_GAPS, _TURNS):
            angle = math.pi * turn / 8
            dx, dy = math.cos(angle) * (gap + width / 2), math.sin(angle) * (gap + height / 2)
            box = _around(x + dx, y + dy, width / 2 + 2, height / 2 + 1)
            bad = 4 * (box.area() - box.shared(whole)) + sum(box.shared(other) for _, other in covered)
            if gap > 14:
                leader = [_around(x + dx * t / 12, y + dy * t / 12, 1, 1) for t in range(1, 10)]
                bad += sum(dot.shared(other) for dot in leader for own, other in covered if own != point)
            if bad < best - 1e-6:
                best, where, far = bad, (dx, dy), gap > 14
        line = {"arrowstyle": "-", "color": SOFT, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 5}
        axes.annotate(
            name, point, where, textcoords="offset points", ha="center", va="center", zorder=5,
            arrowprops=line if far else None,
        )  # fmt: skip
        covered.append((point, _around(x + where[0], y + where[1], width / 2 + 2, height / 2 + 1)))


def _around(x: float, y: float, half_width: float, half_height: float) -> Box:
    return Box(x0=x - half_width, y0=y - half_height, x1=x + half_width, y1=y + half_height)


def label_ends(axes: Axes, ends: Sequence[tuple[str, float]], x: float) -> None:
    """Names of lines to the right of their ends, moved apart where they would touch."""
    ordered = sorted(ends, key=lambda end: end[1])
    places = [axes.transData.transform((x, value))[1] for _, value in ordered]
    short = max(0.0, 13.0 - (places[-1] - places[0]))
    for (name, value), move in zip(ordered, (-short / 2, short / 2), strict=True):
        axes.annotate(name, (x, value), (6, move), textcoords="offset points", va="center", annotation_clip=False)


def text_size(text: str, *, size: float) -> tuple[float, float]:
    """Width and height in points, as measured in the font that comes with matplotlib."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    prop = FontProperties(family="DejaVu Sans", size=size)
    width, height, _ = text_to_path.get_text_width_height_descent(text, prop, ismath=False)
    return width, max(height, 1.1 * size)


def short(value: float) -> str:
    """Four digits, and no powers of ten."""
    return f"{value:,.0f}" if value >= 1000 else format(Decimal(f"{value:.4g}"), "f")
