import math

import numpy as np
import pytest

from fourfold.errors import FairnessError, InputError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.compare import paired_difference
from fourfold.evals.factorial import factorial

Scores = dict[str, dict[str, float | None]]


def graded(seed: int, n: int) -> tuple[Scores, dict[str, str]]:
    rng = np.random.default_rng(seed)
    scores: Scores = {
        arm: {f"q{k}": float(rng.integers(0, 4)) / 3 for k in range(n)}
        for arm in ("base", "rag", "tuned", "tuned + rag")
    }
    return scores, {f"q{k}": f"c{k // 3}" for k in range(n)}


def test_effects_by_hand() -> None:
    # Per question: retrieval (.5, .5, 0), tuning (.5, .5, 1), interaction (1, -1, 0).
    scores: Scores = {
        "base": {"x": 0.0, "y": 0.0, "z": 0.0},
        "rag": {"x": 0.0, "y": 1.0, "z": 0.0},
        "tuned": {"x": 0.0, "y": 1.0, "z": 1.0},
        "tuned + rag": {"x": 1.0, "y": 1.0, "z": 1.0},
    }
    clusters = {"x": "a", "y": "b", "z": "b"}
    effects = factorial(scores, clusters)
    assert effects.retrieval == cluster_mean([0.5, 0.5, 0.0], ["a", "b", "b"])
    assert effects.tuning == cluster_mean([0.5, 0.5, 1.0], ["a", "b", "b"])
    assert effects.interaction == cluster_mean([1.0, -1.0, 0.0], ["a", "b", "b"])
    assert (effects.retrieval.value, effects.tuning.value, effects.interaction.value) == pytest.approx(
        (1 / 3, 2 / 3, 0)
    )


def test_main_effects_and_interaction_are_those_of_the_arms_means() -> None:
    scores, clusters = graded(1, 24)
    base, rag, tuned, both = (float(np.mean(list(of.values()))) for of in scores.values())  # type: ignore[arg-type]
    effects = factorial(scores, clusters)
    assert effects.retrieval.value == pytest.approx(((rag - base) + (both - tuned)) / 2)
    assert effects.tuning.value == pytest.approx(((tuned - base) + (both - rag)) / 2)
    assert effects.interaction.value == pytest.approx((both - tuned) - (rag - base))


def test_the_interaction_is_the_least_squares_coefficient() -> None:
    scores, clusters = graded(2, 15)
    y = np.array([list(of.values()) for of in scores.values()], dtype=float).ravel()
    retrieval, tuning = np.repeat([0, 1, 0, 1], 15), np.repeat([0, 0, 1, 1], 15)
    design = np.column_stack([np.ones(60), retrieval, tuning, retrieval * tuning])
    coefficients = np.linalg.lstsq(design, y)[0]
    assert factorial(scores, clusters).interaction.value == pytest.approx(coefficients[3])


def test_where_tuning_changes_nothing_retrieval_is_the_paired_difference() -> None:
    scores, clusters = graded(3, 24)
    scores["tuned"], scores["tuned + rag"] = scores["base"], scores["rag"]
    effects = factorial(scores, clusters, level=0.9)
    paired = paired_difference(scores["rag"], scores["base"], clusters, seed=0, level=0.9).difference
    assert effects.retrieval.low == pytest.approx(paired.low)
    assert effects.retrieval.high == pytest.approx(paired.high)
    assert (effects.tuning.value, effects.tuning.se, effects.interaction.value) == (0.0, 0.0, 0.0)


def test_a_question_counts_only_where_all_four_arms_finished() -> None:
    scores, clusters = graded(4, 12)
    scores["rag"]["q1"] = scores["tuned"]["q5"] = scores["base"]["q5"] = None
    effects = factorial(scores, clusters)
    left = {arm: {q: s for q, s in of.items() if q not in {"q1", "q5"}} for arm, of in scores.items()}
    alone = factorial(left, clusters)
    for one, other in ((effects.retrieval, alone.retrieval), (effects.interaction, alone.interaction)):
        assert (one.n, one.n_missing) == (10, 2)
        assert (one.value, one.low) == (other.value, other.low)


def test_contrasts_that_cancel_but_for_rounding_do_not_vary() -> None:
    # (.8 - .6) - (.4 - .2) is 5.6e-17 in double precision.
    rows = {"base": [0.2, 0.1], "rag": [0.4, 0.1], "tuned": [0.6, 0.1], "tuned + rag": [0.8, 0.1]}
    scores: Scores = {arm: {"x": row[0], "y": row[1]} for arm, row in rows.items()}
    interaction = factorial(scores, {"x": "a", "y": "b"}).interaction
    assert (interaction.value, interaction.se) == (0.0, 0.0)
    assert interaction.reason is not None
    assert "no variation" in interaction.reason


@pytest.mark.parametrize("gone", [["tuned"], ["tuned", "tuned + rag"], ["base", "rag", "tuned", "tuned + rag"]])
def test_without_an_arm_every_effect_is_none_with_its_name(gone: list[str]) -> None:
    scores, clusters = graded(5, 12)
    effects = factorial({arm: of for arm, of in scores.items() if arm not in gone}, clusters)
    for effect in (effects.retrieval, effects.tuning, effects.interaction):
        assert (effect.value, effect.low, effect.high, effect.se, effect.n) == (None, None, None, None, 0)
        assert effect.reason == f"the 2 x 2 lacks an arm: {', '.join(gone)}"


def test_other_arms_are_not_looked_at() -> None:
    scores, clusters = graded(6, 12)
    assert factorial({**scores, "rag n-shot": {}}, clusters) == factorial(scores, clusters)


def test_mistakes_of_the_caller_are_refused() -> None:
    scores, clusters = graded(7, 12)
    with pytest.raises(FairnessError, match="same questions"):
        factorial({**scores, "rag": {"q0": 1.0}}, clusters)
    with pytest.raises(InputError, match="no cluster"):
        factorial(scores, {})
    with pytest.raises(InputError, match="not a number"):
        factorial({"rag": {"q0": math.nan}}, {"q0": "a"})
    with pytest.raises(InputError, match="level"):
        factorial(scores, clusters, level=95)
