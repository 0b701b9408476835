import math

import numpy as np
import pytest
from scipy import stats

from fourfold.errors import FairnessError, InputError
from fourfold.evals.verdict import ArmResults, decide, winner_of

Scores = dict[str, float | None]
ARMS = ["base", "rag", "tuned", "tuned + rag"]
COSTS = [1.0, 2.0, 3.0, 4.0]


def planted(seed: int, n: int, shares: list[float], noise: float = 0.05) -> list[Scores]:
    """Right/wrong scores of arms that find nearly the same questions hard: they differ by `noise` in that."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    return [{f"q{k}": float(hard[k] + rng.normal() * noise < share) for k in range(n)} for share in shares]


def nine_apart() -> list[Scores]:
    """Sixty questions: on eight only the second arm is right, on one only the first."""
    first: Scores = {f"q{k}": float(k >= 8) for k in range(60)}
    second: Scores = {f"q{k}": float(k != 59) for k in range(60)}
    return [first, second]


def arms(scores: list[Scores], costs: list[float] | None = None, names: list[str] | None = None) -> list[ArmResults]:
    return [
        ArmResults(arm=name, scores=of_arm, mean_cost=cost)
        for name, of_arm, cost in zip(
            (names or ARMS)[: len(scores)], scores, (costs or COSTS)[: len(scores)], strict=True
        )
    ]


def of_size(n: int, size: int) -> dict[str, str]:
    return {f"q{k}": f"c{k // size}" for k in range(n)}


@pytest.mark.parametrize(
    ("shares", "winner"),
    [
        ([0.8, 0.8, 0.8, 0.8], "base"),
        ([0.4, 0.8, 0.8, 0.8], "rag"),
        ([0.3, 0.5, 0.8, 0.8], "tuned"),
        ([0.2, 0.4, 0.5, 0.8], "tuned + rag"),
    ],
)
def test_the_cheapest_arm_that_is_not_worse_wins(shares: list[float], winner: str) -> None:
    verdict = decide(arms(planted(1, 600, shares)), of_size(600, 3))
    assert (verdict.outcome, verdict.winner) == ("decided", winner)
    assert winner in verdict.finished.qualified
    assert set(ARMS[: ARMS.index(winner)]) <= set(verdict.finished.excluded)
    assert verdict.reason.startswith(f"{winner} is the cheapest arm")
    assert (verdict.n_needed, verdict.n_needed_reason) == (None, "decided")


@pytest.mark.parametrize(
    ("order", "qualified", "excluded", "winner"),
    [
        ("ab", "ab", "", "a"),
        ("ba", "ab", "", "b"),
        ("ab", "b", "a", "b"),
        # The cheaper arm is neither shown not worse nor excluded: nothing wins, not even the qualified one.
        ("ab", "b", "", None),
        ("abc", "c", "ab", "c"),
        ("abc", "c", "a", None),
        ("ab", "", "ab", None),
        ("", "", "", None),
    ],
)
def test_the_cheapest_qualified_arm_wins_only_if_every_cheaper_one_is_excluded(
    order: str, qualified: str, excluded: str, winner: str | None
) -> None:
    assert winner_of(list(order), qualified=set(qualified), excluded=set(excluded)) == winner


def test_cost_not_the_order_given_says_which_arm_is_cheapest() -> None:
    verdict = decide(arms(planted(1, 600, [0.8] * 4), [4.0, 3.0, 2.0, 1.0]), of_size(600, 3))
    assert verdict.winner == "tuned + rag"
    assert [name for name, _ in verdict.finished.means] == ARMS[::-1]


def test_equal_costs_are_broken_by_the_order_given_and_the_reason_says_so() -> None:
    verdict = decide(arms(planted(1, 600, [0.8] * 4), [2.0, 1.0, 1.0, 1.0]), of_size(600, 3))
    assert verdict.winner == "rag"
    assert "equal cost" in verdict.reason


def test_a_small_sample_is_not_enough_evidence_and_names_the_questions_needed() -> None:
    verdict = decide(arms(planted(2, 40, [0.5, 0.6, 0.7, 0.7], noise=0.2)), of_size(40, 2))
    assert (verdict.outcome, verdict.winner) == ("not enough evidence", None)
    assert verdict.n_needed is not None
    assert verdict.n_needed > 40
    assert f"{verdict.n_needed:,}" in verdict.reason
    assert verdict.n_needed_reason is None


def test_the_questions_needed_are_those_of_the_one_open_test() -> None:
    # Two arms, 4 tests: base is neither shown non-inferior nor excluded, and rag is shown non-inferior to base.
    scores = nine_apart()
    verdict = decide(arms(scores), of_size(60, 1))
    base_to_rag, rag_to_base = verdict.finished.comparisons
    assert (base_to_rag.non_inferior, base_to_rag.excludes, rag_to_base.non_inferior) == (False, False, True)
    difference = np.array([(scores[0][q] or 0) - (scores[1][q] or 0) for q in scores[0]])
    z = stats.norm.isf(0.05 / 4) + stats.norm.ppf(0.8)
    growth = (z * stats.sem(difference) / (-0.05 - difference.mean())) ** 2
    assert verdict.n_needed == math.ceil(60 * growth)


def test_the_questions_needed_would_settle_it_at_the_observed_rates() -> None:
    scores = nine_apart()
    needed = decide(arms(scores), of_size(60, 1)).n_needed
    assert needed is not None
    copies = math.ceil(needed / 60)
    grown = [{f"{q} {copy}": score for q, score in of_arm.items() for copy in range(copies)} for of_arm in scores]
    assert decide(arms(grown), {q: q for q in grown[0]}).winner == "rag"


def test_more_questions_are_named_than_were_not_enough_where_the_z_approximation_names_fewer() -> None:
    scores: list[Scores] = [{"q0": 0.0, "q1": 0.0, "q2": 0.0}, {"q0": 0.5, "q1": 1.0, "q2": 1.0}]
    verdict = decide(arms(scores), of_size(3, 1))
    assert (verdict.winner, verdict.n_needed) == (None, 4)


def test_no_number_is_named_where_every_route_lies_on_the_wrong_side() -> None:
    # rag is 5 points better: base stands on the border of both its tests, and rag needs base excluded.
    scores: list[Scores] = [
        {f"q{k}": float(k >= 10) for k in range(40)},
        {f"q{k}": float(k >= 8) for k in range(40)},
    ]
    verdict = decide(arms(scores), of_size(40, 1))
    assert (verdict.outcome, verdict.n_needed) == ("not enough evidence", None)
    assert verdict.n_needed_reason is not None
    assert "on the margin" in verdict.n_needed_reason
    assert "No number" in verdict.reason


def test_identical_scores_make_the_cheapest_arm_win_and_the_reason_says_why() -> None:
    scores = planted(4, 280, [0.5])[0]
    verdict = decide(arms([dict(scores) for _ in ARMS]), of_size(280, 2))
    assert verdict.winner == "base"
    assert verdict.finished.qualified == tuple(ARMS)
    assert "exactly 0 with a standard error of 0" in verdict.reason


def test_identical_scores_of_few_clusters_are_not_enough_evidence() -> None:
    scores = planted(4, 40, [0.5])[0]
    verdict = decide(arms([dict(scores) for _ in ARMS]), of_size(40, 2))
    assert (verdict.outcome, verdict.winner) == ("not enough evidence", None)
    assert verdict.n_needed is not None
    assert 40 < verdict.n_needed < 280


def test_a_win_without_variation_says_so() -> None:
    scores: list[Scores] = [{f"q{k}": 0.0 for k in range(8)}, {f"q{k}": 1.0 for k in range(8)}]
    verdict = decide(arms(scores), of_size(8, 1))
    assert verdict.winner == "rag"
    assert "its difference to base is the same on every question" in verdict.reason


@pytest.mark.parametrize("n", [0, 1])
def test_zero_or_one_question_is_not_enough_evidence(n: int) -> None:
    verdict = decide(arms(planted(1, n, [0.0, 1.0])), of_size(n, 1))
    assert (verdict.outcome, verdict.n_needed, verdict.n_questions) == ("not enough evidence", None, n)
    assert verdict.n_needed_reason is not None
    assert "no standard error" in verdict.n_needed_reason
    for comparison in verdict.finished.comparisons:
        assert (comparison.p_non_inferior, comparison.p_superior_adjusted) == (None, None)


def test_one_cluster_is_not_enough_evidence_however_many_questions() -> None:
    verdict = decide(arms(planted(1, 200, [0.1, 0.9])), of_size(200, 200))
    assert verdict.outcome == "not enough evidence"
    assert verdict.finished.comparisons[0].difference.value is not None


def test_a_single_arm_wins_and_the_reason_says_that_it_is_alone() -> None:
    verdict = decide(arms(planted(1, 3, [0.5])), of_size(3, 1))
    assert (verdict.outcome, verdict.winner) == ("decided", "base")
    assert "only arm" in verdict.reason


def test_a_single_arm_without_a_score_does_not_win() -> None:
    verdict = decide(arms([{}]), {})
    assert (verdict.outcome, verdict.n_needed_reason) == ("not enough evidence", "no scores")


def test_failures_that_flip_the_winner_leave_no_verdict() -> None:
    # rag answers everything it finishes like tuned, but fails on a third of the questions.
    scores = planted(5, 600, [0.4, 0.8, 0.8])
    scores[1] = {q: None if k % 3 == 0 else score for k, (q, score) in enumerate(scores[1].items())}
    verdict = decide(arms(scores), of_size(600, 3))
    assert (verdict.finished.winner, verdict.failed_as_wrong.winner) == ("rag", "tuned")
    assert (verdict.outcome, verdict.winner, verdict.n_needed) == ("not enough evidence", None, None)
    assert verdict.reason.startswith("Failures decide: rag wins")
    assert verdict.n_needed_reason is not None
    assert "failures decide" in verdict.n_needed_reason
    assert dict(verdict.n_failed) == {"base": 0, "rag": 200, "tuned": 0}


def test_a_winner_that_only_failures_counted_as_wrong_would_make_is_none() -> None:
    scores = planted(2, 40, [0.7, 0.8], noise=0.3)
    scores[0] = {q: None if k % 2 else score for k, (q, score) in enumerate(scores[0].items())}
    verdict = decide(arms(scores), of_size(40, 1))
    assert (verdict.finished.winner, verdict.failed_as_wrong.winner) == (None, "rag")
    assert verdict.outcome == "not enough evidence"
    assert "no arm wins on the pairs" in verdict.reason


def test_failures_that_change_nothing_are_counted_and_the_verdict_stands() -> None:
    scores = planted(1, 600, [0.4, 0.8, 0.8, 0.8])
    scores[1]["q0"] = None
    verdict = decide(arms(scores), of_size(600, 3))
    assert verdict.winner == "rag"
    assert dict(verdict.n_failed)["rag"] == 1
    assert (verdict.finished.means[1][1].n, verdict.failed_as_wrong.means[1][1].n) == (599, 600)


def test_a_failed_item_is_left_out_of_the_mean_and_not_a_zero() -> None:
    scores: list[Scores] = [{"q0": 1.0, "q1": 1.0, "q2": None}]
    verdict = decide(arms(scores), of_size(3, 1))
    assert verdict.finished.means[0][1].value == 1.0
    assert verdict.failed_as_wrong.means[0][1].value == pytest.approx(2 / 3)


def test_two_arms_on_the_border_are_decided_wrongly_no_more_often_than_the_level() -> None:
    # rag is better by exactly the margin: base is neither worse by more nor better than that, so both wins are wrong.
    rng = np.random.default_rng(7)
    n, n_reps, decided = 120, 300, 0
    for _ in range(n_reps):
        kind = rng.choice(3, size=n, p=[0.10, 0.15, 0.75])
        scores: list[Scores] = [
            {f"q{k}": float(kind[k] != 1) for k in range(n)},
            {f"q{k}": float(kind[k] != 0) for k in range(n)},
        ]
        decided += decide(arms(scores), of_size(n, 2)).winner is not None
    assert decided / n_reps <= 0.08


@pytest.mark.parametrize("margin", [0, 1, -0.05, 5, math.nan])
def test_a_margin_outside_0_to_1_is_refused(margin: float) -> None:
    with pytest.raises(InputError, match="margin"):
        decide(arms(planted(1, 4, [0.5, 0.5])), of_size(4, 1), margin=margin)


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.1, 1.1])
def test_a_score_out_of_range_is_refused(score: float) -> None:
    with pytest.raises(InputError, match="out of range"):
        decide(arms([{"q0": score}, {"q0": None}]), {"q0": "c"})


@pytest.mark.parametrize("cost", [math.nan, math.inf, -1.0])
def test_a_cost_out_of_range_is_refused(cost: float) -> None:
    with pytest.raises(InputError, match="cost of base"):
        decide(arms(planted(1, 4, [0.5]), [cost]), of_size(4, 1))


def test_no_arms_and_an_arm_twice_are_refused() -> None:
    with pytest.raises(InputError, match="no arms"):
        decide([], {})
    with pytest.raises(InputError, match="one twice"):
        decide(arms(planted(1, 4, [0.5, 0.5]), names=["rag", "rag"]), of_size(4, 1))


def test_arms_on_different_questions_and_questions_without_cluster_are_refused() -> None:
    with pytest.raises(FairnessError, match="same questions"):
        decide(arms([{"q0": 1.0}, {"q1": 1.0}]), {"q0": "c", "q1": "c"})
    with pytest.raises(InputError, match="no cluster"):
        decide(arms([{"q0": 1.0}]), {})
