from __future__ import annotations

import numpy as np
import pytest

from fourfold.evals.judge.cohen import cohen_kappa
from fourfold.evals.judge.jackknife import cluster_jackknife


def test_of_a_mean_it_is_the_students_interval_of_the_cluster_means() -> None:
    values = [1.0, 2.0, 4.0, 9.0]
    found = cluster_jackknife(lambda at: sum(values[i] for i in at) / len(at), ["a", "b", "c", "d"], undefined="-")
    assert found.value == 4.0
    assert found.se == pytest.approx(np.std(values, ddof=1) / 2)
    assert found.dof == 3


def test_without_an_interval_there_is_a_reason() -> None:
    assert cluster_jackknife(lambda _: None, ["a"], undefined="nothing there").reason == "nothing there"
    assert "one cluster" in str(cluster_jackknife(lambda _: 1.0, ["a", "a"], undefined="-").reason)
    hangs = cluster_jackknife(lambda at: 1.0 if 0 in at else None, ["a", "b"], undefined="it is undefined")
    assert hangs.value == 1.0
    assert (hangs.low, hangs.reason) == (None, "it hangs on one cluster: without it, it is undefined")
    still = cluster_jackknife(lambda _: 1.0, ["a", "b"], undefined="-")
    assert (still.low, still.high, still.se) == (1.0, 1.0, 0.0)


def test_intervals_of_kappa_cover_and_their_lower_end_is_seldom_too_high() -> None:
    rng = np.random.default_rng(3)

    def draw(n: int) -> tuple[list[bool], list[bool]]:
        person = rng.random((n, 4)) < rng.beta(2, 2, size=(n, 1))
        judge = person ^ (rng.random((n, 4)) < rng.beta(2, 6, size=(n, 1)))
        return person.ravel().tolist(), judge.ravel().tolist()

    truth = cohen_kappa(*draw(100_000))
    assert truth is not None
    clusters = [str(at // 4) for at in range(80)]
    n_covered = n_high = 0
    for _ in range(200):
        a, b = draw(20)
        found = cluster_jackknife(
            lambda at, a=a, b=b: cohen_kappa([a[i] for i in at], [b[i] for i in at]),  # type: ignore[misc]
            clusters,
            undefined="-",
        )
        assert found.low is not None
        assert found.high is not None
        n_covered += found.low <= truth <= found.high
        n_high += found.low > truth
    assert n_covered >= 0.88 * 200
    assert n_high <= 0.09 * 200
