"""The report as it is shown: the page, the terminal, JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest
from support.reports import SMALL, Table, arm_of, make_report

from fourfold.evals.price_sensitivity import PriceFlip, PriceRange, PriceSensitivity
from fourfold.evals.report.data import Report
from fourfold.evals.report.html import render_html
from fourfold.evals.report.sentence import format_estimate
from fourfold.evals.report.terminal import render_terminal
from fourfold.study import ConstraintSettings, VerdictSettings

FIELDS = (
    "question", "reference", "key fact", "document", "section", "quote", "chunk", "answer", "failure", "reason",
    "tuning question", "summary", "base",
)  # fmt: skip


def hostile(field: str) -> str:
    return f'<script src="http://evil.example/{field}"></script><img src=x onerror="{field}()"> \'&amp;\' {field}'


class Page(HTMLParser):
    """Tags, attributes and text; a closing tag must close the tag opened last."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open_tags: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.style = ""
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag not in self.VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open_tags and self.open_tags[-1] == "style":
            self.style += data
        else:
            self.text += data
        if {"td", "th"} & set(self.open_tags):
            self.rows[-1][-1] += data


def read_page(report: Report) -> Page:
    page = Page()
    page.feed(render_html(report))
    page.close()
    return page


@pytest.fixture(scope="module")
def small() -> Report:
    """Four arms on four questions and one on an unseen document; base failed on the third."""
    return make_report(SMALL, n_unseen=1)


@pytest.fixture(scope="module")
def attacked() -> Report:
    """The small report with markup in every text that a person, a PDF or a model wrote."""
    return make_report(SMALL, n_unseen=1, say={field: hostile(field) for field in FIELDS})


@pytest.mark.parametrize("field", FIELDS)
def test_markup_in_a_text_is_shown_as_text(attacked: Report, field: str) -> None:
    assert hostile(field) in read_page(attacked).text


def test_the_page_makes_no_request_and_runs_nothing(attacked: Report) -> None:
    assert "<script" not in render_html(attacked)
    page = read_page(attacked)
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object", "embed", "form", "a", "base"})
    names = {name for name, _ in page.attributes}
    assert names.isdisjoint({"src", "href", "srcset", "action", "background"})
    assert not any(name.startswith("on") for name in names)
    styles = page.style + " ".join(value or "" for name, value in page.attributes if name == "style")
    assert "max-width" in styles
    assert not re.search(r"url\(|@import|https?:|//", styles)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


@pytest.mark.parametrize("name", ["small", "attacked"])
def test_every_tag_of_the_page_is_closed_in_order(request: pytest.FixtureRequest, name: str) -> None:
    page = read_page(request.getfixturevalue(name))
    assert page.open_tags == []
    assert {"html", "table", "details", "blockquote"} <= page.tags


def test_the_page_shows_verdict_caveats_arms_failures_and_transfer(small: Report) -> None:
    text = read_page(small).text
    for part in (
        small.sentence,
        *small.caveats,
        *SMALL,
        small.base,
        "rag − base",
        "What is 4?",
        "broken.pdf",
        "not a PDF",
    ):
        assert part in text
    assert "4 test questions, and 1 on documents not tuned on, reported as transfer only" in text
    assert f"failed as wrong: {format_estimate(arm_of(small, 'base').failed_as_wrong['key_fact_recall'])}" in text
    # Two metrics of the one arm that failed.
    assert text.count("failed as wrong") == 2
    assert "failed: prompt too long" in text
    assert "holds 60% of the quote" in text


def test_the_terminal_shows_verdict_caveats_arms_and_differences(small: Report) -> None:
    shown = render_terminal(small)
    lines = shown.splitlines()
    # Wrapped at 110 columns, also inside hyphenated words.
    joined = "".join(shown.split())
    for text in (small.sentence, *small.caveats):
        assert "".join(text.split()) in joined
    for arm in small.arms:
        line, counted = (line for line in lines if re.match(rf"{re.escape(arm.arm)}  ", line))
        assert counted.endswith(format_estimate(arm.failed_as_wrong["key_fact_recall"]))
        assert format_estimate(arm.metrics["key_fact_recall"]) in line
        assert line.split("  ")[-1].strip() == f"{arm.prompt_tokens:.0f} + {arm.answer_tokens:.0f}"
    for d in small.differences:
        detectable = "–" if d.detectable.two_sided is None else f"{d.detectable.two_sided:.3f}"
        line = f"{d.a} − {d.b}  {format_estimate(d.paired.difference, signed=True)}  {detectable}"
        assert (" ".join(line.split()) in {" ".join(shown.split()) for shown in lines}) is (
            d.metric == "key_fact_recall"
        )
    assert "base of every arm: tiny, resident in float32" in lines
    assert "4 test questions, 95% intervals clustered by section" in lines


@pytest.mark.parametrize(
    "table",
    [
        {"base": [1, None], "rag": [None, None]},
        {"base": [None]},
        {"base": [0], "rag": [1]},
        {"base": [0, 1, 1], "tuned": [1, 1, 1]},
    ],
    ids=["an arm without answers", "no answer", "one question", "three questions"],
)
@pytest.mark.parametrize("n_unseen", [0, 1])
def test_every_report_is_json_without_nan_and_can_be_shown(table: Table, n_unseen: int) -> None:
    report = make_report(table, n_unseen=n_unseen)
    told = json.loads(json.dumps(dataclasses.asdict(report), allow_nan=False))
    assert (told["sentence"], told["n_transfer"]) == (report.sentence, n_unseen)
    assert read_page(report).open_tags == []
    assert report.study in render_terminal(report)


def test_one_arm_has_no_differences_to_show() -> None:
    assert "(one arm only)" in render_terminal(make_report({"base": [1, 0]}))


def test_limits_are_told_where_the_study_has_them(small: Report) -> None:
    # base costs 10 tokens and the answer's 2.5, rag 100 and those.
    limited = VerdictSettings(constraints=ConstraintSettings(max_cost_per_query=50))
    report = make_report({"base": [1, 0, 1, 0], "rag": [1, 1, 1, 1]}, verdict=limited)
    assert [(check.arm, check.value, check.met) for check in report.constraints] == [
        ("base", 12.5, True),
        ("rag", 102.5, False),
    ]
    assert report.verdict.winner == "base"
    assert "rag" in report.verdict.reason
    page, shown = read_page(report), render_terminal(report)
    assert ["rag", "max cost per query", "50.0 tokens", "102.5000 tokens", "no"] in page.rows
    assert re.search(r"^rag +max cost per query +50 tokens +not met +102.5 tokens$", shown, re.MULTILINE)
    assert "Constraints" not in render_html(small)
    assert "constraints" not in render_terminal(small)


def test_prices_at_which_the_winner_changes_are_told_where_there_are_prices(small: Report) -> None:
    flip = PriceFlip(what="machine hour", factor=2.5, values=(5.0,), winner_below="tuned", winner_above=None)
    ranges = (
        PriceRange(what="machine hour", values=(2.0,), low=0.1, high=10.0, flips=(flip,), reason=None),
        PriceRange(what="queries", values=(1e4,), low=0.1, high=10.0, flips=(), reason=None),
    )
    report = dataclasses.replace(small, price_sensitivity=PriceSensitivity(ranges=ranges, reason=None))
    rows, shown = read_page(report).rows, render_terminal(report)
    assert ["machine hour", "2.0000", "0.10–10.00", "at × 2.50 (5.0000) from tuned to no winner"] in rows
    assert ["queries", "10,000.0000", "0.10–10.00", "nowhere"] in rows
    assert re.search(r"^machine hour 5 \(× 2.50\) +below: tuned +above: not enough evidence$", shown, re.MULTILINE)
    assert "winner changes" not in render_terminal(small)
