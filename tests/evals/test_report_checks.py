"""The checks' section: figures by hand, limits, and what is shown where nothing was checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.reports import SMALL, make_report

from fourfold.evals.report.checks import CheckRows, CheckShown, ChecksSection, check_caveats, show_checks
from fourfold.evals.report.html import render_html
from fourfold.types import Arm, Score

DRIFT = [{"epoch": 1, "gold": 0.5, "distractor": 0.25, "unseen": None}]


def scores(metric: str, arm: Arm, values: Mapping[str, float | None]) -> list[Score]:
    seed = 0 if "tuned" in arm else None
    return [
        Score(
            arm=arm,
            tuning_seed=seed,
            question_id=item,
            metric=metric,
            value=value,
            reason="no" if value is None else None,
        )
        for item, value in values.items()
    ]


def rows(own: Sequence[Score], **fields: Any) -> CheckRows:
    given: dict[str, Any] = {
        "seed": 0, "scores": own, "sections": {}, "perplexity": {}, "n_prompts_equal": 24, "notes": (),
        "min_identical": 0.9, "max_logit_gap": 0.5,
    }  # fmt: skip
    return CheckRows(**{**given, **fields})


def shown(own: Sequence[Score], **fields: Any) -> ChecksSection:
    section = show_checks(rows(own, **fields), {}, {}, {})
    assert section is not None
    return section


def test_with_and_without_are_paired_item_by_item() -> None:
    without = scores("general knowledge", "base", {"a": 1, "b": 1, "c": 0, "d": 1})
    tuned = scores("general knowledge", "tuned", {"a": 1, "b": 0, "c": 0, "d": None})
    (row,) = shown([*without, *tuned]).rows
    assert (row.check, row.without.value, row.tuned.value) == ("forgetting", 0.75, pytest.approx(1 / 3))
    # The item without an answer stands in no pair: (0 − 1 + 0) / 3.
    assert (row.change.value, row.change.n, row.change.n_missing) == (pytest.approx(-1 / 3), 3, 1)
    assert row.change.n_clusters == 3


def test_questions_of_one_section_are_one_cluster() -> None:
    both = [
        row
        for arm in ("rag", "tuned + rag")
        for row in scores("follows: edited", arm, {"a": 1, "b": 0, "c": 1})
    ]  # fmt: skip
    (row,) = shown(both, sections={"a": "s", "b": "s", "c": "t"}).rows
    assert (row.check, row.without.n, row.without.n_clusters) == ("context reliance", 3, 2)


def test_what_rewording_loses_is_shown_for_the_adapter() -> None:
    own = [
        *scores("recall: tuning question", "base", {"a": 0, "b": 0}),
        *scores("recall: tuning question", "tuned", {"a": 1, "b": 1}),
        *scores("recall: reworded", "base", {"a": 0, "b": None}),
        *scores("recall: reworded", "tuned", {"a": 0, "b": 1}),
    ]
    by_heart: CheckShown = shown(own).rows[-1]
    assert (by_heart.without.value, by_heart.without.n, by_heart.tuned.value) == (0.0, 1, 0.5)
    assert (by_heart.what, by_heart.change.n) == ("recall lost by rewording", 1)


def test_limits_take_the_mean_share_and_the_largest_gap() -> None:
    own = [
        *scores("identical tokens: merged", "tuned", {"a": 1, "b": 0.9}),
        *scores("logit gap: merged", "tuned", {"a": 0.25, "b": 0.75}),
        *scores("identical tokens: 4-bit reload", "tuned", {"a": None}),
        *scores("logit gap: 4-bit reload", "tuned", {"a": None}),
    ]
    section = shown(own)
    assert [(one.value, one.limit, one.met) for one in section.limits] == [
        (pytest.approx(0.95), 0.9, True), (0.75, 0.5, False), (None, 0.9, None), (None, 0.5, None)
    ]  # fmt: skip
    assert section.limits[2].reason == "no"
    (caveat,) = check_caveats(section)
    assert "merged: largest difference of a logit is 0.75, the limit 0.5" in caveat


def test_without_checks_drift_and_abstention_are_shown_and_nothing_where_there_is_neither() -> None:
    table = {
        "base": {"refusal": {"u": 1.0, "v": 1.0, "q": 0.0}}, "tuned": {"refusal": {"u": 0.0, "v": 1.0, "q": 0.0}}
    }  # fmt: skip
    section = show_checks(None, {"drift": DRIFT}, table, {"u": "s", "v": "t"})
    assert section is not None
    assert (section.seed, section.drift[0].gold, section.drift[0].unseen) == (None, 0.5, None)
    (row,) = section.rows
    assert (row.check, row.without.value, row.tuned.value, row.change.value) == ("abstention", 1.0, 0.5, -0.5)
    assert show_checks(None, {}, table, {}) is None
    assert show_checks(None, None, table, {"u": "s", "v": "t"}) is None
    assert check_caveats(None) == ()


def test_the_page_shows_limits_rows_and_drift_and_escapes_notes() -> None:
    own = [
        *scores("identical tokens: merged", "tuned", {"a": 0.5}),
        *scores("nats a token", "base", {"p": 3.0, "q": 2.0}),
        *scores("nats a token", "tuned", {"p": 3.5, "q": 2.0}),
    ]
    section = show_checks(
        rows(own, perplexity={"base": 12.5, "tuned": 13.0}, notes=("<b>none</b>",)), {"drift": DRIFT}, {}, {}
    )
    page = render_html(dataclasses.replace(make_report(SMALL), checks=section))
    assert "24 test prompts" in page
    assert "&lt;b&gt;none&lt;/b&gt;" in page
    assert "base 12.50, tuned 13.00" in page
    assert "<td>no</td>" in page
    assert "0.5000" in page
    assert "Checks of the adapter" not in render_html(make_report(SMALL))
