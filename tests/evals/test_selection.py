from __future__ import annotations

import pytest
from support.questions import make_question

from fourfold.errors import FairnessError
from fourfold.evals.estimate import Estimate
from fourfold.evals.selection import Choice, Trial, choose, judge
from fourfold.types import Answer, Arm, Score

QUESTIONS = [make_question(f"v{n}", split="validation", section=(f"S{n // 2}",)) for n in range(4)]


def trial(
    arm: str, point: int, value: float | None, *, tokens: float | None = 10.0, configuration: str = "", n: int = 4
) -> Trial:
    mean = Estimate(
        value=value, low=None, high=None, se=None, dof=None, n=n, n_missing=0, n_clusters=2, method="", reason=None
    )
    return Trial(
        arm=arm, point=point, configuration=configuration or str(point), validation=mean, n_failed=0, tokens=tokens
    )


def answered(question: str, value: float | None, *, arm: Arm = "rag", seed: int | None = None) -> tuple[Answer, Score]:
    text = None if value is None else "text"
    failure = "too long" if value is None else None
    answer = Answer(
        arm=arm, tuning_seed=seed, question_id=question, text=text, failure=failure, n_prompt_tokens=100,
        n_answer_tokens=5, mean_logprob=None, finish_reason=None, chunk_ids=(), example_ids=(), generation=None,
    )  # fmt: skip
    score = Score(arm=arm, tuning_seed=seed, question_id=question, metric="m", value=value, reason=failure)
    return answer, score


def judged(*rows: tuple[Answer, Score], arm: str = "rag") -> Trial:
    answers, scores = zip(*rows, strict=True)
    return judge(arm, QUESTIONS, answers, scores, metric="m", place=(1, "c"))


@pytest.mark.parametrize(
    ("trials", "point"),
    [
        ([("a", 1, 0.2, 5.0), ("a", 2, 0.4, 90.0), ("a", 3, 0.3, 5.0)], 2),
        # Equal: the cheaper one, also where the means were added up in another order.
        ([("a", 1, 0.4, 50.0), ("a", 2, 0.1 + 0.3, 20.0), ("a", 3, 0.4, 30.0)], 2),
        ([("a", 1, 0.3, 50.0), ("a", 2, 0.1 + 0.2, 20.0)], 2),
        # Equal and of equal cost: the first, in whichever order they come.
        ([("a", 2, 0.4, 20.0), ("a", 1, 0.4, 20.0)], 1),
        # Nothing answered counts as wrong throughout and costs more than anything.
        ([("a", 1, 0.0, None), ("a", 2, 0.0, 900.0)], 2),
    ],
)
def test_the_best_on_validation_is_chosen_then_the_cheaper_then_the_first(
    trials: list[tuple[str, int, float, float | None]], point: int
) -> None:
    (choice,) = choose([trial(arm, at, value, tokens=tokens) for arm, at, value, tokens in trials])
    assert choice.point == point


def test_each_arm_is_chosen_for_itself_and_counts_what_differs_for_it() -> None:
    choices = choose([
        trial("base", 1, 0.1, configuration="same"), trial("rag", 1, 0.1),
        trial("base", 2, 0.1, configuration="same"), trial("rag", 2, 0.3),
    ])  # fmt: skip
    assert choices == (
        Choice(arm="base", point=1, n_points=2, n_configurations=1),
        Choice(arm="rag", point=2, n_points=2, n_configurations=2),
    )


@pytest.mark.parametrize(
    "unequal",
    [
        [trial("base", 1, 0.1), trial("rag", 1, 0.1), trial("rag", 2, 0.1)],
        [trial("base", 1, 0.1), trial("rag", 2, 0.1)],
        [trial("base", 1, 0.1), trial("rag", 1, 0.1, n=3)],
    ],
)
def test_arms_that_were_not_tried_equally_are_refused(unequal: list[Trial]) -> None:
    with pytest.raises(FairnessError, match="not tried equally"):
        choose(unequal)


def test_a_failed_item_counts_as_wrong_and_not_for_the_cost() -> None:
    found = judged(answered("v0", 1.0), answered("v1", 1.0), answered("v2", None), answered("v3", 0.0))
    assert (found.validation.value, found.validation.n, found.n_failed) == (0.5, 4, 1)
    assert found.tokens == 105.0


def test_an_arm_that_answered_nothing_has_no_cost() -> None:
    found = judged(*(answered(f"v{n}", None) for n in range(4)))
    assert (found.validation.value, found.n_failed, found.tokens) == (0.0, 4, None)


def test_the_mean_is_over_all_tuning_seeds_and_only_the_arm_itself() -> None:
    first = [answered(f"v{n}", 1.0, arm="tuned", seed=0) for n in range(4)]
    second = [answered(f"v{n}", 0.0, arm="tuned", seed=1) for n in range(4)]
    other = [answered(f"v{n}", 1.0) for n in range(4)]
    assert judged(*first, *second, *other, arm="tuned").validation.value == 0.5
