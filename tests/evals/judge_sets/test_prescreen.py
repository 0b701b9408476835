from __future__ import annotations

from typing import Any

import pytest
from sklearn.metrics import cohen_kappa_score

from fourfold.errors import InputError
from fourfold.evals.judge_sets.item import Label, LabelledItem
from fourfold.evals.judge_sets.prescreen import screen
from fourfold.evals.judge_sets.split import hold_out


def item(number: int, label: Label | None, **changes: Any) -> LabelledItem:
    fields: dict[str, Any] = {
        "item_id": str(number), "group": "a" if number % 2 else "b", "cluster": f"q{number // 2}",
        "criterion": "correctness", "question": "?", "references": ("x",), "contexts": (), "answers": ("x",),
        "label": label, "unlabelled": None if label else "nobody judged it",
    }  # fmt: skip
    return LabelledItem(**fields | changes)


LABELS: list[Label] = ["right", "right", "wrong", "wrong", "right", "wrong", "right", "wrong"]
RULINGS: list[Label] = ["right", "wrong", "wrong", "wrong", "right", "right", "right", "wrong"]


def test_agreement_and_kappa_are_those_of_the_table_and_of_scikit_learn() -> None:
    found = screen([item(n, label) for n, label in enumerate(LABELS)], RULINGS)
    # 6 of 8 agree, each side says right 4 times: (.75 - .5) / (1 - .5).
    assert found.agreement.value == 0.75
    assert found.kappa.value == pytest.approx(0.5)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(LABELS, RULINGS))
    assert found.kappa.n_clusters == 4
    assert found.kappa.low is not None
    assert found.kappa.low < 0.5
    assert {group: estimate.value for group, estimate in found.by_group} == {"a": 0.5, "b": 1.0}


def test_a_failed_ruling_is_counted_both_ways() -> None:
    rulings: list[Label | None] = [None, *RULINGS[1:]]
    found = screen([item(n, label) for n, label in enumerate(LABELS)], rulings)
    assert (found.n_failed, found.kappa.n_missing) == (1, 1)
    assert found.agreement.value == pytest.approx(5 / 7)
    assert found.agreement_all.value == pytest.approx(5 / 8)


def test_an_item_without_a_label_counts_nowhere() -> None:
    items = [item(n, label) for n, label in enumerate(LABELS)]
    found = screen([*items, item(8, None), item(9, None)], [*RULINGS, "right", None])
    assert (found.n_unlabelled, found.n_failed, found.agreement.n) == (2, 0, 8)


def test_one_class_only_leaves_kappa_undefined_with_its_reason() -> None:
    found = screen([item(n, "right") for n in range(4)], ["right"] * 4)
    assert (found.agreement.value, found.kappa.value) == (1.0, None)
    assert found.kappa.reason is not None
    assert "beyond chance is undefined" in found.kappa.reason


def test_without_a_ruling_everything_is_undefined() -> None:
    found = screen([item(0, "right")], [None])
    assert (found.agreement.value, found.kappa.value) == (None, None)
    assert found.kappa.reason == "no labelled item has a ruling"


def test_rulings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="do not match"):
        screen([item(0, "right")], [])
    with pytest.raises(InputError, match="does not fit"):
        screen([item(0, "right")], ["tie"])
    with pytest.raises(InputError, match="does not fit"):
        screen([item(0, "first", answers=("x", "y"))], ["right"])


def test_held_out_questions_are_in_no_other_part_and_stay_where_they_are() -> None:
    items = [item(n, "right") for n in range(2000)]
    kept, held = hold_out(items, share=0.3, seed=0)
    assert not {one.cluster for one in kept} & {one.cluster for one in held}
    assert sorted([*kept, *held], key=lambda one: int(one.item_id)) == items
    assert 0.25 < len(held) / len(items) < 0.35
    assert set(hold_out(items[:500], share=0.3, seed=0)[1]) <= set(held)
    assert hold_out(items, share=0.3, seed=1)[1] != held


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_share_that_leaves_a_part_empty_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="share of held-out"):
        hold_out([], share=share, seed=0)
