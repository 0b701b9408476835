import math

import numpy as np
import pytest

from fourfold.errors import FairnessError, InputError
from fourfold.evals.cluster_robust import cluster_mean, one_sided_p
from fourfold.evals.compare import compare_all, paired_difference, paired_values

Scores = dict[str, float | None]


def right_wrong(seed: int, n: int, share: float) -> Scores:
    rng = np.random.default_rng(seed)
    return {f"q{k}": float(rng.random() < share) for k in range(n)}


def of_size(n: int, size: int) -> dict[str, str]:
    return {f"q{k}": f"c{k // size}" for k in range(n)}


def test_differences_are_paired_by_question_not_by_place() -> None:
    a: Scores = {"x": 1.0, "y": 0.25, "z": None, "u": 1.0}
    b: Scores = {"u": None, "z": 0.5, "y": 0.5, "x": 0.0}
    values, clusters = paired_values(a, b, {"x": "1", "y": "2", "z": "3", "u": "4", "other": "5"})
    assert values == [1.0, -0.25, None, None]
    assert clusters == ["1", "2", "3", "4"]


def test_a_pair_counts_only_where_both_finished() -> None:
    a: Scores = {"x": 1.0, "y": 1.0, "z": None, "u": 0.0}
    b: Scores = {"x": 0.0, "y": 1.0, "z": 1.0, "u": None}
    result = paired_difference(a, b, {q: q for q in a}, seed=0)
    assert (result.n, result.n_missing) == (2, 2)
    assert result.difference.value == 0.5
    assert result.sign_flip.value == 1.0


def test_the_difference_is_the_cluster_robust_mean_of_the_differences() -> None:
    a, b, clusters = right_wrong(1, 24, 0.8), right_wrong(2, 24, 0.4), of_size(24, 3)
    result = paired_difference(a, b, clusters, seed=0, level=0.9)
    assert result.difference == cluster_mean(*paired_values(a, b, clusters), level=0.9)
    assert result.wild.low is not None
    assert result.wild_p.value is not None
    assert result.sign_flip.value is not None


def test_the_cluster_bootstrap_stands_beside_it_from_thirty_clusters() -> None:
    a, b = right_wrong(1, 60, 0.8), right_wrong(2, 60, 0.4)
    assert paired_difference(a, b, of_size(60, 2), seed=0).bootstrap.low is not None
    few = paired_difference(a, b, of_size(60, 3), seed=0).bootstrap
    assert few.low is None
    assert few.reason


def test_swapped_arms_give_the_mirrored_result() -> None:
    a, b, clusters = right_wrong(3, 40, 0.7), right_wrong(4, 40, 0.5), of_size(40, 4)
    one, other = paired_difference(a, b, clusters, seed=0), paired_difference(b, a, clusters, seed=0)
    assert one.difference.low == pytest.approx(-(other.difference.high or 0))
    assert one.sign_flip.value == other.sign_flip.value
    assert one.wild_p.value == other.wild_p.value


def test_a_graded_metric_has_no_sign_flip_p() -> None:
    a: Scores = {"x": 1.0, "y": 0.5, "z": 0.0}
    b: Scores = {"x": 0.0, "y": 0.0, "z": 0.0}
    p = paired_difference(a, b, {q: q for q in a}, seed=0).sign_flip
    assert (p.value, p.reason) == (None, "not a right/wrong metric")


def test_a_graded_score_whose_pair_is_missing_does_not_decide_what_the_metric_is() -> None:
    a: Scores = {"x": 1.0, "y": 0.5}
    b: Scores = {"x": 0.0, "y": None}
    assert paired_difference(a, b, {q: q for q in a}, seed=0).sign_flip.value == 1.0


def test_no_pairs_leave_everything_undefined_and_nothing_zero() -> None:
    result = paired_difference({"x": None}, {"x": 1.0}, {"x": "c"}, seed=0)
    assert (result.n, result.n_missing) == (0, 1)
    for part in (result.difference, result.wild, result.wild_p, result.bootstrap, result.sign_flip):
        assert part.value is None
        assert part.reason


def test_one_seed_gives_one_result() -> None:
    a, b, clusters = right_wrong(5, 60, 0.7), right_wrong(6, 60, 0.5), of_size(60, 2)
    assert paired_difference(a, b, clusters, seed=4) == paired_difference(a, b, clusters, seed=4)


def test_arms_on_different_questions_are_refused() -> None:
    with pytest.raises(FairnessError, match="'y' among them"):
        paired_values({"x": 1.0}, {"x": 1.0, "y": 0.0}, {"x": "c", "y": "c"})


def test_a_question_without_a_cluster_is_refused() -> None:
    with pytest.raises(InputError, match="no cluster"):
        paired_values({"x": 1.0}, {"x": 1.0}, {})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_refused_also_beside_a_missing_one(bad: float) -> None:
    with pytest.raises(InputError, match="not a number"):
        paired_values({"x": None}, {"x": bad}, {"x": "c"})


def test_every_ordered_pair_is_tested_both_ways_and_corrected_together() -> None:
    scores = {"a": right_wrong(1, 40, 0.9), "b": right_wrong(2, 40, 0.5), "c": right_wrong(3, 40, 0.1)}
    clusters = of_size(40, 2)
    comparisons = compare_all(scores, clusters, margin=0.1)
    assert [(one.i, one.j) for one in comparisons] == [(i, j) for i in "abc" for j in "abc" if i != j]
    for one in comparisons:
        i_minus_j = paired_values(scores[one.i], scores[one.j], clusters)
        j_minus_i = paired_values(scores[one.j], scores[one.i], clusters)
        assert one.p_non_inferior == one_sided_p(*i_minus_j, null=-0.1, alternative="greater").value
        assert one.p_superior == pytest.approx(one_sided_p(*j_minus_i, null=0.1, alternative="greater").value)
    smallest = min(p for one in comparisons for p in (one.p_non_inferior, one.p_superior) if p is not None)
    adjusted = [q for one in comparisons for q in (one.p_non_inferior_adjusted, one.p_superior_adjusted)]
    assert min(q for q in adjusted if q is not None) == pytest.approx(12 * smallest)


def test_the_interval_covers_one_minus_the_level() -> None:
    scores = {"a": right_wrong(1, 40, 0.9), "b": right_wrong(2, 40, 0.5)}
    clusters = of_size(40, 2)
    comparison = compare_all(scores, clusters, margin=0.1, level=0.2)[0]
    expected = cluster_mean(*paired_values(scores["a"], scores["b"], clusters), level=0.8)
    assert comparison.difference == expected
