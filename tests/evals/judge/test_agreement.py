"""Kappas and alpha: hand-worked, and against scikit-learn, statsmodels and krippendorff."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as outside_fleiss

from fourfold.errors import InputError
from fourfold.evals.judge.cohen import cohen_kappa
from fourfold.evals.judge.fleiss import fleiss_kappa
from fourfold.evals.judge.krippendorff import Scale, krippendorff_alpha


def raters(seed: int, n_items: int = 60, n_raters: int = 4, n_levels: int = 5) -> np.ndarray:  # type: ignore[type-arg]
    """int [items, raters]: a true level, moved by at most one by each rater."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_levels, size=(n_items, 1))
    return np.clip(truth + rng.integers(-1, 2, size=(n_items, n_raters)), 0, n_levels - 1)


def test_cohens_kappa_of_a_table_worked_by_hand() -> None:
    # 20 both, 5 a alone, 10 b alone, 15 neither: p_o = .7, p_e = .5 × .6 + .5 × .4 = .5, kappa = .4.
    a = [True] * 25 + [False] * 25
    b = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert cohen_kappa(a, b) == pytest.approx(0.4)


@pytest.mark.parametrize("seed", range(3))
def test_cohens_kappa_agrees_with_scikit_learn(seed: int) -> None:
    a, b = raters(seed)[:, :2].T.tolist()
    assert cohen_kappa(a, b) == pytest.approx(cohen_kappa_score(a, b))


def test_cohens_kappa_is_undefined_without_items_or_with_one_category() -> None:
    assert cohen_kappa([], []) is None
    assert cohen_kappa(["x"] * 3, ["x"] * 3) is None
    # One rater alone with one category: chance explains all of the agreement, and no more.
    assert cohen_kappa(["x", "x"], ["x", "y"]) == 0
    with pytest.raises(InputError):
        cohen_kappa([1], [1, 2])


def test_fleiss_kappa_of_the_example_in_his_paper() -> None:
    # Fleiss 1971, table 1 as tabulated widely: 10 subjects, 14 raters, 5 categories, kappa = .210.
    counts = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    ratings = [[level for level, n in enumerate(row) for _ in range(n)] for row in counts]
    assert fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize("seed", range(3))
def test_fleiss_kappa_agrees_with_statsmodels(seed: int) -> None:
    table = raters(seed)
    assert fleiss_kappa(table.tolist()) == pytest.approx(outside_fleiss(aggregate_raters(table)[0]))


def test_fleiss_kappa_is_undefined_without_variation_and_refuses_ragged_ratings() -> None:
    assert fleiss_kappa([]) is None
    assert fleiss_kappa([[1, 1], [1, 1]]) is None
    with pytest.raises(InputError, match="Krippendorff"):
        fleiss_kappa([[1, 1], [1]])


@pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval"])
@pytest.mark.parametrize("seed", range(3))
def test_alpha_agrees_with_the_krippendorff_package_with_ratings_missing(seed: int, scale: Scale) -> None:
    table = raters(seed).astype(float)
    table[np.random.default_rng(seed).random(table.shape) < 0.3] = np.nan
    ours = krippendorff_alpha([[None if np.isnan(x) else x for x in row] for row in table.tolist()], scale=scale)
    assert ours == pytest.approx(krippendorff.alpha(reliability_data=table.T, level_of_measurement=scale))


def test_alpha_of_two_observers_worked_by_hand() -> None:
    # Krippendorff 2011, section A: 10 binary units, 4 disagreements; alpha = 1 - 19 × 4 × 2 / (2 × 14 × 6) = .095.
    a = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    b = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert krippendorff_alpha(list(zip(a, b, strict=True)), scale="nominal") == pytest.approx(1 - 19 * 8 / (2 * 14 * 6))


def test_alpha_is_undefined_without_pairs_or_variation() -> None:
    assert krippendorff_alpha([], scale="interval") is None
    assert krippendorff_alpha([[1.0, None], [2.0, None]], scale="interval") is None
    assert krippendorff_alpha([[1.0, 1.0], [1.0, 1.0]], scale="nominal") is None
