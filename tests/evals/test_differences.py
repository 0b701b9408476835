from __future__ import annotations

import pytest
from scipy import stats
from support.reports import SMALL, make_report

from fourfold.evals.cluster_robust import cluster_mean, two_sided_p


def test_p_is_that_of_a_paired_t_test_where_every_cluster_is_one_question() -> None:
    values = [0.5, 0.0, 1.0, -0.25, 0.75, 0.5]
    found = two_sided_p(cluster_mean(values, list("abcdef")))
    assert found.value == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-9)


def test_p_of_a_difference_that_never_varies_is_not_0() -> None:
    found = two_sided_p(cluster_mean([0.5] * 4, list("abcd")))
    # The worst case on each side: (1 / 1.5) to the power of 4, twice.
    assert found.value == pytest.approx(min(1.0, 2 * (1 / 1.5) ** 4))


def test_p_is_none_with_the_reason_where_nothing_can_be_tested() -> None:
    found = two_sided_p(cluster_mean([0.5], ["a"]))
    assert found.value is None
    assert found.reason


def test_the_correction_is_over_every_row_of_the_report_together() -> None:
    report = make_report(SMALL)
    rows = [*report.differences, *report.explained]
    assert len(rows) == 12  # six pairs, two metrics
    tested = [1.0 if row.p is None else row.p for row in rows]
    expected = stats.false_discovery_control(tested, method="bh")
    for row, q in zip(rows, expected, strict=True):
        assert row.p_adjusted == (None if row.p is None else pytest.approx(q))
    assert any(row.p is not None and row.p_adjusted is not None and row.p_adjusted > row.p for row in rows)


def test_the_detectable_difference_plans_with_the_tests_of_four_arms() -> None:
    report = make_report(SMALL)
    for row in report.differences:
        assert row.detectable.n_tests == 24
        if row.paired.difference.se:
            assert row.detectable.two_sided is not None
            assert row.detectable.verdict is not None
            # The verdict's level is the stricter one.
            assert row.detectable.verdict > row.detectable.two_sided
        else:
            assert row.detectable.two_sided is None
            assert row.detectable.reason
