"""The report's plots: marks at the right figures, the same bytes every time, words where there is nothing to draw."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.reports import SMALL, Table, arm_of, make_questions, make_report, make_rows

from fourfold.evals.estimate import Estimate
from fourfold.evals.report.build import build_report
from fourfold.evals.report.data import Report, StageShown
from fourfold.evals.report.html import render_html
from fourfold.evals.report.plots import Plot, break_even_plot, paired_differences, quality_against_cost
from fourfold.evals.trade_off import pareto_front
from fourfold.study import AnswerSettings, CorpusSettings, PriceSettings, ScoreSettings, StudySettings

NS = "{http://www.w3.org/2000/svg}"
PLOTS: tuple[Callable[[Report], Plot], ...] = (quality_against_cost, paired_differences, break_even_plot)
PRICES = PriceSettings(machine_hour=2.0, prompt_million=5.0, answer_million=20.0, storage_gb_month=0.1)
SECONDS = {"questions": 600.0, "index": 60.0, "tune": 3600.0}


def even_table(n: int) -> Table:
    """Tuned and RAG are right on the same questions; base on none."""
    right = [float(place % 3 > 0) for place in range(n)]
    return {"base": [0.0] * n, "rag": right, "tuned": right, "tuned + rag": right}


def priced_report(table: Table, prices: PriceSettings = PRICES, seconds: Mapping[str, float] = SECONDS) -> Report:
    """A report with bills; every stage of the study took `seconds`."""
    study = StudySettings(
        name="priced",
        corpus=CorpusSettings(folder=Path("pdfs")),
        answer=AnswerSettings(arms=tuple(table)),
        score=ScoreSettings(metrics=("token_f1", "key_fact_recall")),
        prices=prices,
    )
    rows = make_rows(table, make_questions(len(next(iter(table.values())))), {})
    (stage,) = rows.stages
    stages: list[StageShown] = [
        replace(stage, name=name, seconds=took, summary={"n_bytes": 10**9 if name == "tune" else 0})
        for name, took in seconds.items()
    ]
    # Contexts of different lengths, so that the saving a query has an interval.
    answers = [
        replace(answer, n_prompt_tokens=answer.n_prompt_tokens + 40 * (place % 9) * ("rag" in answer.arm))
        for place, answer in enumerate(rows.answers)
    ]
    return build_report(study, replace(rows, stages=stages, answers=answers), base="tiny", frozen_rule_kept=True)


@pytest.fixture(scope="module")
def small() -> Report:
    return make_report(SMALL)


@pytest.fixture(scope="module")
def priced() -> Report:
    return priced_report(even_table(150))


class Drawn:
    """A plot as its reader sees it: elements by id, and positions in the units that the ticks tell."""

    def __init__(self, plot: Plot, name: str) -> None:
        assert plot.svg is not None
        self.root = ET.fromstring(plot.svg)
        self.by_id = {e.attrib["id"].removeprefix(f"{name}-"): e for e in self.root.iter() if "id" in e.attrib}

    def text(self) -> list[str]:
        return [element.text or "" for element in self.root.iter(f"{NS}text")]

    def at(self, gid: str) -> tuple[float, float]:
        """Of a marker, in points from the upper left."""
        mark = next(self.by_id[gid].iter(f"{NS}use"))
        return float(mark.attrib["x"]), float(mark.attrib["y"])

    def path(self, gid: str) -> list[tuple[float, float]]:
        drawn = next(path for path in self.by_id[gid].iter(f"{NS}path") if "clip-path" in path.attrib)
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", drawn.attrib["d"])]
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    def value(self, axis: str, place: float, *, log: bool = False) -> float:
        """What a position means, from the first and the last tick of the axis."""
        ticks = sorted(
            (self.at(gid)[axis == "y"], float(text.replace(",", "").replace("−", "-")))
            for gid, element in self.by_id.items()
            if re.fullmatch(rf"{axis}tick_\d+", gid)
            for text in [next(element.iter(f"{NS}text")).text or ""]
        )
        (p0, v0), (p1, v1) = ticks[0], ticks[-1]
        share = (place - p0) / (p1 - p0)
        return v0 * (v1 / v0) ** share if log else v0 + share * (v1 - v0)


def shown_ends(drawn: Drawn, gid: str, axis: str) -> tuple[float, float]:
    a, b = (drawn.value(axis, point[axis == "y"]) for point in drawn.path(gid))
    return a, b


def clipped(estimate: Estimate, lowest: float) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return max(lowest, estimate.low), min(1.0, estimate.high)


def renamed(report: Report, old: str, new: str) -> Report:
    """The same report with another name for one arm, wherever the plots read it."""
    to = {old: new}
    ranking = report.costs.ranking
    values = {to.get(arm, arm): cost for arm, cost in ranking.values.items()}
    return replace(
        report,
        arms=tuple(replace(arm, arm=to.get(arm.arm, arm.arm)) for arm in report.arms),
        differences=tuple(replace(d, a=to.get(d.a, d.a), b=to.get(d.b, d.b)) for d in report.differences),
        pareto=tuple(to.get(arm, arm) for arm in report.pareto),
        costs=replace(report.costs, ranking=replace(ranking, values=values)),
    )


def with_crossing(report: Report, **fields: object) -> Report:
    first, *more = report.costs.break_even
    changed = replace(first, **fields)
    return replace(report, costs=replace(report.costs, break_even=(changed, *more)))


def table_of(**shares: float) -> Table:
    """Per arm the share of 20 questions that it answers right."""
    names = {"n_shot": " n-shot", "tuned_rag": "tuned + rag"}
    return {
        names.get(arm, arm).replace("_", " "): [float(place < 20 * share) for place in range(20)]
        for arm, share in shares.items()
    }


@pytest.mark.parametrize("draw", PLOTS)
def test_a_plot_is_xml_that_refers_to_nothing_outside_itself(priced: Report, draw: Callable[[Report], Plot]) -> None:
    svg = draw(priced).svg
    assert svg is not None
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == root.findtext(f"{NS}title")
    ids = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    assert root.attrib["aria-describedby"] in ids
    references = [v for e in root.iter() for name, v in e.attrib.items() if name.endswith("href")]
    references += re.findall(r"url\((.*?)\)", svg)
    assert references
    assert {reference.removeprefix("#") for reference in references} <= ids
    for namespace in ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"):
        svg = svg.replace(f'"{namespace}"', "")
    assert not re.search(r"https?:|//|@import|data:|<script|<style|<metadata|<image|<foreignObject| on\w+=", svg)


@pytest.mark.parametrize("draw", PLOTS)
def test_a_plot_drawn_twice_is_the_same_bytes_whatever_the_settings(
    priced: Report, draw: Callable[[Report], Plot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl

    first = draw(priced)
    monkeypatch.chdir(tmp_path)
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        before = dict(mpl.rcParams)
        assert draw(priced) == first
        assert dict(mpl.rcParams) == before


def test_no_global_state_of_pyplot_is_touched() -> None:
    code = (
        "import sys; from support.reports import SMALL, make_report;"
        "from fourfold.evals.report.html import render_html;"
        "assert 'matplotlib' not in sys.modules; render_html(make_report(SMALL));"
        "assert 'matplotlib' in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})


def test_ids_are_unique_over_the_page(priced: Report) -> None:
    page = render_html(priced)
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert page.count("<svg") == 3
    assert len(ids) == len(set(ids)) > 50


def test_every_arm_stands_at_its_cost_and_quality_with_its_interval(small: Report) -> None:
    drawn = Drawn(quality_against_cost(small), "quality-cost")
    assert small.costs.ranking.unit == "tokens"
    for place, arm in enumerate(SMALL):
        mean = arm_of(small, arm).metrics["key_fact_recall"]
        x, y = drawn.at(f"arm-{place}")
        # From the tens to the hundreds of tokens: a logarithmic axis.
        assert drawn.value("x", x, log=True) == pytest.approx(small.costs.ranking.values[arm], rel=1e-4)
        assert drawn.value("y", y) == pytest.approx(mean.value, abs=1e-4)
        assert shown_ends(drawn, f"interval-{place}", "y") == pytest.approx(clipped(mean, 0.0), abs=1e-4)
    assert any("cost a query, tokens" in text for text in drawn.text())


def test_a_better_arm_stands_higher_and_a_dearer_one_further_right() -> None:
    drawn = Drawn(quality_against_cost(make_report(table_of(base=0.2, rag=0.7, tuned=0.4))), "quality-cost")
    base, rag, tuned = (drawn.at(f"arm-{place}") for place in range(3))
    assert rag[1] < tuned[1] < base[1]
    assert base[0] < tuned[0] < rag[0]


def test_the_front_is_a_step_from_the_cheapest_arm_on_it_to_the_right_edge() -> None:
    # rag is dearer than tuned and worse: the front passes it by.
    report = make_report(table_of(base=0.2, rag=0.3, tuned=0.4, tuned_rag=0.7))
    assert report.pareto == ("base", "tuned", "tuned + rag")
    drawn = Drawn(quality_against_cost(report), "quality-cost")
    base, _, tuned, both = (drawn.at(f"arm-{place}") for place in range(4))
    corners = drawn.path("front")
    expected = [base, (tuned[0], base[1]), tuned, (both[0], tuned[1]), both]
    assert [value for point in corners[:-1] for value in point] == pytest.approx([v for p in expected for v in p])
    assert corners[-1][1] == pytest.approx(both[1])
    assert corners[-1][0] > both[0]


def test_the_winner_is_ringed_and_named_and_nobody_is_without_a_winner(priced: Report, small: Report) -> None:
    assert priced.verdict.winner == "tuned"
    drawn = Drawn(quality_against_cost(priced), "quality-cost")
    assert drawn.at("winner") == drawn.at("arm-2")
    assert "tuned (winner)" in drawn.text()
    undecided = Drawn(quality_against_cost(small), "quality-cost")
    assert small.verdict.winner is None
    assert "winner" not in undecided.by_id
    assert not any("winner" in text for text in undecided.text())


@pytest.mark.parametrize("n_arms", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("crowd", ["apart", "one quality", "one cost", "one point"])
def test_labels_do_not_overlap(n_arms: int, crowd: str) -> None:
    names = ("base", "base n-shot", "rag", "rag n-shot", "tuned", "tuned + rag")[:n_arms]
    report = make_report(table_of(base=0.5, rag=0.5))
    (arm, *_) = report.arms
    mean = arm.metrics["key_fact_recall"]
    arms, costs = [], {}
    for place, name in enumerate(names):
        up = 0.03 * place * (crowd not in {"one quality", "one point"})
        assert mean.value is not None
        moved = replace(mean, value=mean.value + up, low=mean.value + up - 0.1, high=mean.value + up + 0.1)
        arms.append(replace(arm, arm=name, metrics={**arm.metrics, "key_fact_recall": moved}))
        costs[name] = 100.0 + 15 * place * (crowd not in {"one cost", "one point"})
    ranking = replace(report.costs.ranking, values=costs)
    front = pareto_front({arm.arm: arm.metrics["key_fact_recall"].value or 0.0 for arm in arms}, costs)
    report = replace(report, arms=tuple(arms), pareto=front, costs=replace(report.costs, ranking=ranking))
    drawn = Drawn(quality_against_cost(report), "quality-cost")
    marks = [drawn.at(f"arm-{place}") for place in range(n_arms)]
    boxes = [box_of(text) for text in drawn.root.iter(f"{NS}text") if text.text in names]
    assert len(boxes) == n_arms
    for one, other in itertools.combinations(boxes, 2):
        assert not overlap(one, other)
    for (x, y), box in itertools.product(marks, boxes):
        assert not overlap((x - 4, y - 4, x + 4, y + 4), box)
    assert all(0 <= x0 < x1 <= 496 and 0 <= y0 < y1 <= 290 for x0, y0, x1, y1 in boxes)


def box_of(text: ET.Element) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a text of 10 points, 6 points a character; y is its baseline."""
    x, y, width = float(text.attrib["x"]), float(text.attrib["y"]), 6.0 * len(text.text or "")
    left = x - width / 2 if "text-anchor: middle" in text.attrib["style"] else x
    return left, y - 7.5, left + width, y + 0.5


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def test_arms_without_score_or_cost_are_named_beside_the_plot() -> None:
    plot = quality_against_cost(make_report({"base": [0, 1], "tuned": [None, None]}))
    assert plot.reason == "Not drawn, without a score or a cost: tuned."
    assert "tuned" not in Drawn(plot, "quality-cost").text()


def test_controls_stand_in_no_plot(small: Report) -> None:
    arms = tuple(replace(arm, role="control") if arm.arm == "base" else arm for arm in small.arms)
    assert "base" not in Drawn(quality_against_cost(replace(small, arms=arms)), "quality-cost").text()


def test_every_difference_stands_at_its_value_with_interval_margin_and_zero(small: Report) -> None:
    drawn = Drawn(paired_differences(small), "differences")
    pairs = [d for d in small.differences if d.metric == "key_fact_recall"]
    assert len(pairs) == 6
    heights = []
    for row, d in enumerate(pairs):
        estimate = d.paired.difference
        x, y = drawn.at(f"difference-{row}")
        heights.append(y)
        assert drawn.value("x", x) == pytest.approx(estimate.value, abs=1e-4)
        assert shown_ends(drawn, f"interval-{row}", "x") == pytest.approx(clipped(estimate, -1.0), abs=1e-4)
        assert f"{d.a} − {d.b}" in drawn.text()
    assert heights == sorted(heights)
    band = [drawn.value("x", x) for x, _ in drawn.path("margin")]
    assert (min(band), max(band)) == pytest.approx((-0.05, 0.05), abs=1e-4)
    assert [drawn.value("x", x) for x, _ in drawn.path("zero")] == pytest.approx([0, 0], abs=1e-4)
    assert "margin ±0.05" in drawn.text()


def test_a_pair_without_a_value_keeps_its_row() -> None:
    text = Drawn(paired_differences(make_report({"base": [0], "rag": [1], "tuned": [None]})), "differences").text()
    assert {"rag − base", "tuned − base", "tuned − rag"} <= set(text)
    assert sum(t.strip() == "no value" for t in text) == 2
    assert sum(t.strip() == "+1.000, no interval" for t in text) == 1


def test_the_bills_cross_at_the_break_even_and_its_interval_is_shaded(priced: Report) -> None:
    crossing = priced.costs.break_even[0]
    assert crossing.outcome == "from n"
    drawn = Drawn(break_even_plot(priced), "break-even")
    x, y = drawn.at("crossing")
    assert drawn.value("x", x, log=True) == pytest.approx(crossing.n_queries, rel=1e-4)
    band = [drawn.value("x", at, log=True) for at, _ in drawn.path("band")]
    assert (min(band), max(band)) == pytest.approx((crossing.low, crossing.high), rel=1e-4)
    tuned, rag = drawn.path("bill-0"), drawn.path("bill-1")
    # Dearer before the crossing, cheaper after it; y grows downwards.
    assert tuned[0][1] < rag[0][1]
    assert tuned[-1][1] > rag[-1][1]
    for line, bill in ((tuned, "tuned"), (rag, "rag")):
        cost = next(b for b in priced.costs.bills if b.arm == bill)
        for at, height in (line[0], line[-1]):
            total = cost.fixed + drawn.value("x", at, log=True) * cost.per_query
            assert drawn.value("y", height, log=True) == pytest.approx(total, rel=1e-3)
    cost = next(b for b in priced.costs.bills if b.arm == "rag")
    assert drawn.value("y", y, log=True) == pytest.approx(cost.fixed + crossing.n_queries * cost.per_query, rel=2e-3)
    said = f"tuned costs no more than rag from {crossing.n_queries:,} queries on [{crossing.low:,}, {crossing.high:,}]"
    assert said in drawn.text()


def test_an_open_interval_runs_to_the_edge_and_its_reason_is_told(priced: Report) -> None:
    reason = "the interval of the saving a query reaches 0: the bills may never cross"
    plot = break_even_plot(with_crossing(priced, high=None, reason=reason))
    drawn = Drawn(plot, "break-even")
    assert plot.reason == f"{reason[0].upper()}{reason[1:]}."
    assert max(x for x, _ in drawn.path("band")) == pytest.approx(max(x for x, _ in drawn.path("bill-0")))
    assert any(text.endswith("no upper end]") for text in drawn.text())


def test_a_break_even_without_an_interval_has_no_band(priced: Report) -> None:
    drawn = Drawn(break_even_plot(with_crossing(priced, outcome="up to n", low=None, high=None)), "break-even")
    assert "band" not in drawn.by_id
    n = priced.costs.break_even[0].n_queries
    assert f"tuned costs no more than rag up to {n:,} queries, no interval" in drawn.text()


def test_words_stand_where_there_is_no_break_even(priced: Report, small: Report) -> None:
    none = {"n_queries": None, "low": None, "high": None}
    said = {
        break_even_plot(report).reason: break_even_plot(report).svg
        for report in (
            small,
            make_report({"base": [0, 1], "rag": [1, 1]}),
            with_crossing(priced, outcome="never", reason=None, **none),
            with_crossing(priced, outcome="from the first query", reason=None, **none),
            with_crossing(priced, outcome="not known", reason="'rag' not qualified", **none),
        )
    }
    assert said == dict.fromkeys(
        [
            "No break-even: no prices.",
            "No break-even: the study does not have both tuned and rag.",
            "No break-even: tuned is never cheaper than rag, at no number of queries.",
            "No break-even to draw: tuned is cheaper than rag from the first query on.",
            "No break-even: not known ('rag' not qualified).",
        ]
    )


def test_words_stand_on_the_page_where_nothing_is_drawn() -> None:
    page = render_html(make_report({"base": [None, None]}))
    assert "<svg" not in page
    for draw in PLOTS:
        reason = draw(make_report({"base": [None, None]})).reason
        assert reason is not None
        assert f'<p class="note">{reason}</p>' in page


@pytest.mark.parametrize("name", ["<script>x</script>", 'a" onload="x()', "a & b", "$x_1$ ]]>", "R$ and US$"])
def test_a_name_is_shown_as_it_is(small: Report, name: str) -> None:
    report = renamed(small, "rag", name)
    plot = quality_against_cost(report)
    assert name in Drawn(plot, "quality-cost").text()
    assert f"{name} − base" in Drawn(paired_differences(report), "differences").text()
    assert "<script" not in (plot.svg or "")
    assert ET.fromstring(plot.svg or "").attrib.keys() & {"onload"} == set()


def test_a_currency_in_letters_that_the_measuring_font_lacks_is_drawn(priced: Report) -> None:
    ranking = replace(priced.costs.ranking, unit="元")
    report = replace(priced, costs=replace(priced.costs, ranking=ranking))
    assert "cost a query, 元" in Drawn(quality_against_cost(report), "quality-cost").text()


@pytest.mark.parametrize("draw", PLOTS)
def test_text_is_text_of_at_least_nine_points_in_any_sans_serif(priced: Report, draw: Callable[[Report], Plot]) -> None:
    root = ET.fromstring(draw(priced).svg or "")
    assert root.attrib["width"] == "496pt"
    assert root.attrib["viewBox"].startswith("0 0 496 ")
    styles = [text.attrib["style"] for text in root.iter(f"{NS}text")]
    assert len(styles) > 10
    for style in styles:
        size, family = re.search(r"font-size: ([\d.]+)px", style), re.search(r"font-family: ([^;]*)", style)
        assert size is not None
        assert float(size.group(1)) >= 9
        assert family is not None
        assert family.group(1) == "sans-serif"


def test_arms_differ_in_shape_and_bills_in_dash(priced: Report) -> None:
    drawn = Drawn(quality_against_cost(priced), "quality-cost")
    shapes = {drawn.by_id[f"arm-{place}"].find(f".//{NS}path").attrib["d"] for place in range(4)}
    assert len(shapes) == 4
    bills = Drawn(break_even_plot(priced), "break-even")
    dashed = ["dasharray" in ET.tostring(bills.by_id[f"bill-{place}"], encoding="unicode") for place in range(2)]
    assert dashed == [False, True]
