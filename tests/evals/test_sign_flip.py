import itertools
import math

import numpy as np
import pytest
from scipy import stats

from fourfold.errors import InputError
from fourfold.evals.sign_flip import sign_flip_p


def brute_force(differences: list[float], clusters: list[str]) -> float:
    """Share of the 2^G patterns at least as extreme, over all clusters, those that add up to 0 included."""
    names = sorted(set(clusters))
    sums = [sum(d for d, c in zip(differences, clusters, strict=True) if c == name) for name in names]
    patterns = list(itertools.product([1, -1], repeat=len(names)))
    totals = [abs(sum(sign * total for sign, total in zip(pattern, sums, strict=True))) for pattern in patterns]
    return sum(total >= abs(sum(sums)) - 1e-9 for total in totals) / len(patterns)


@pytest.mark.parametrize("seed", range(8))
def test_it_agrees_with_brute_force_over_all_patterns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    differences = rng.integers(-1, 2, size=n).astype(float).tolist()
    clusters = [f"c{k}" for k in rng.integers(0, 9, size=n)]
    assert sign_flip_p(differences, clusters, seed=0).value == pytest.approx(brute_force(differences, clusters))


def test_sums_that_rounding_parts_count_as_ties() -> None:
    differences = [0.1, 0.2, -0.3, 0.3, 0.1, 0.2]
    clusters = ["a", "b", "c", "d", "e", "f"]
    assert sign_flip_p(differences, clusters, seed=0).value == brute_force(differences, clusters)


def test_a_cluster_that_adds_up_to_zero_changes_nothing() -> None:
    without = sign_flip_p([1, 1, 1], ["a", "b", "c"], seed=0)
    with_zero = sign_flip_p([1, 1, 1, 1, -1, 0.1, 0.2, -0.3], ["a", "b", "c", "d", "d", "e", "e", "e"], seed=0)
    assert without.value == with_zero.value == 0.25
    assert (without.n_clusters, with_zero.n_clusters) == (3, 5)


def test_clusters_that_all_add_up_to_zero_give_one() -> None:
    p = sign_flip_p([0, 0, 1, -1], ["a", "b", "c", "c"], seed=0)
    assert p.value == 1.0
    assert p.reason


def test_one_cluster_gives_one() -> None:
    assert sign_flip_p([1, 1, 1], ["a", "a", "a"], seed=0).value == 1.0


@pytest.mark.parametrize("differences", [[], [None, None]])
def test_without_clusters_there_is_no_p(differences: list[None]) -> None:
    p = sign_flip_p(differences, ["a", "b"][: len(differences)], seed=0)
    assert (p.value, p.reason, p.n_missing) == (None, "no pairs", len(differences))


def test_singletons_give_mcnemars_exact_test() -> None:
    differences = [1.0] * 9 + [-1.0] * 2 + [0.0] * 30
    p = sign_flip_p(differences, [f"q{k}" for k in range(41)], seed=0)
    assert p.value == pytest.approx(stats.binomtest(2, 11, 0.5).pvalue)


@pytest.mark.parametrize(("n", "exact"), [(14, True), (15, False)])
def test_up_to_fourteen_nonzero_clusters_are_enumerated(n: int, exact: bool) -> None:
    clusters = [f"q{k}" for k in range(n + 5)]
    first, other = (sign_flip_p([1.0] * n + [0.0] * 5, clusters, seed=seed) for seed in (1, 2))
    assert ("exact" in first.method) == exact
    if exact:
        assert first.value == other.value == 2 / 2**14


def test_drawn_p_is_near_the_exact_one_and_never_zero() -> None:
    differences = [1.0] * 13 + [-1.0] * 7
    p = sign_flip_p(differences, [f"q{k}" for k in range(20)], seed=3)
    assert p.value == pytest.approx(stats.binomtest(7, 20, 0.5).pvalue, abs=0.02)
    sure = sign_flip_p([1.0] * 60, [f"q{k}" for k in range(60)], seed=3, n_replications=999)
    assert sure.value == 1 / 1000


def test_false_alarms_keep_their_level_where_questions_of_a_cluster_move_together() -> None:
    rng = np.random.default_rng(12)
    clusters = [f"c{k // 5}" for k in range(50)]
    alarms, mcnemar, n_reps = 0, 0, 400
    for _ in range(n_reps):
        differences = rng.choice([-1.0, 0.0, 1.0], size=10).repeat(5)
        p = sign_flip_p(differences.tolist(), clusters, seed=0).value
        assert p is not None
        alarms += p <= 0.05
        up, n = int((differences > 0).sum()), int((differences != 0).sum())
        mcnemar += n > 0 and stats.binomtest(up, n, 0.5).pvalue <= 0.05
    assert alarms / n_reps <= 0.07
    assert mcnemar / n_reps > 0.1


def test_mistakes_of_the_caller_are_refused() -> None:
    with pytest.raises(InputError, match="replications"):
        sign_flip_p([1.0], ["a"], seed=0, n_replications=10)
    with pytest.raises(InputError, match="not a number"):
        sign_flip_p([math.nan], ["a"], seed=0)
