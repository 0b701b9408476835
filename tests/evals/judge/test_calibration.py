from __future__ import annotations

from collections.abc import Sequence

import pytest

from fourfold.evals.judge.calibration import JudgedAnswer, calibrate
from fourfold.evals.judge.cohen import cohen_kappa
from fourfold.evals.judge.gate import decide_standing
from fourfold.evals.judge.jackknife import cluster_jackknife

GOOD = (True, False) * 20


def answers(arm: str, judge: Sequence[bool], person: Sequence[bool | None]) -> list[JudgedAnswer]:
    """One question and cluster each; the judge's scores are .9 or .1."""
    return [
        JudgedAnswer(
            arm=arm,
            question_id=f"q{at}",
            cluster=f"c{at}",
            score=0.9 if says else 0.1,
            label=None if label is None else float(label),
        )
        for at, (says, label) in enumerate(zip(judge, person, strict=True))
    ]


def flipped(values: Sequence[bool], *places: int) -> list[bool]:
    return [not value if at in places else value for at, value in enumerate(values)]


def test_counts_kappa_and_errors_are_those_of_the_table() -> None:
    found = calibrate("correctness", [*answers("base", flipped(GOOD, 0, 1), GOOD), *answers("rag", GOOD, GOOD)])
    assert (found.n_labels, found.n_judge_failed, found.threshold) == (80, 0, 0.75)
    assert (found.confusion.both, found.confusion.judge_only) == (39, 1)
    assert (found.confusion.person_only, found.confusion.neither) == (1, 39)
    assert found.agreement.value == pytest.approx(78 / 80)
    assert found.kappa.value == pytest.approx(0.95)
    assert [arm.error.value for arm in found.arms] == pytest.approx([2 / 40, 0])
    assert [arm.lean.value for arm in found.arms] == pytest.approx([0, 0])
    assert found.widest is not None
    assert (found.widest.what, abs(found.widest.difference.value or 0)) == ("error", pytest.approx(0.05))
    assert decide_standing("correctness", found, None, margin=0.05).relied_on


def test_a_judge_as_often_wrong_on_both_arms_but_kinder_to_one_does_not_pass() -> None:
    right, wrong = (at for at in (tuple(range(0, 8, 2)), tuple(range(1, 9, 2))))
    found = calibrate(
        "correctness", [*answers("base", flipped(GOOD, *right), GOOD), *answers("rag", flipped(GOOD, *wrong), GOOD)]
    )
    assert found.widest is not None
    assert found.widest.what == "lean"
    assert abs(found.widest.difference.value or 0) == pytest.approx(0.2)
    standing = decide_standing("correctness", found, None, margin=0.05)
    assert not standing.relied_on
    assert "lean differs by 0.20" in standing.words


def test_the_lower_end_of_kappa_decides_not_its_value() -> None:
    few = (True, False) * 4
    found = calibrate("correctness", [*answers("base", flipped(few, 0), few), *answers("rag", flipped(few, 1), few)])
    assert found.kappa.value is not None
    assert found.kappa.value > 0.4
    assert found.kappa.low is not None
    assert found.kappa.low < 0.6
    chance = calibrate("correctness", [*answers("base", GOOD, (True, True, False, False) * 10)])
    assert not decide_standing("correctness", chance, None, margin=0.05).relied_on


def test_labels_of_one_class_have_no_kappa_and_do_not_pass() -> None:
    every = (True,) * 10
    found = calibrate("correctness", [*answers("base", every, every), *answers("rag", every, every)])
    assert found.kappa.value is None
    assert found.kappa.reason is not None
    assert found.agreement.value == 1
    assert "kappa has no lower bound" in decide_standing("correctness", found, None, margin=0.05).words


def test_labels_of_one_arm_only_do_not_pass() -> None:
    found = calibrate("correctness", [*answers("base", GOOD, GOOD), *answers("rag", GOOD, [None] * 40)])
    assert found.widest is None
    assert found.arms[1].error.value is None
    assert found.arms[1].corrected.value is None
    standing = decide_standing("correctness", found, None, margin=0.05)
    assert standing.reasons == ("labels of one arm only: its error cannot be compared between arms",)


def test_an_arm_without_labels_beside_labelled_ones_does_not_pass() -> None:
    labelled = [*answers("base", GOOD, GOOD), *answers("rag", GOOD, GOOD)]
    assert decide_standing("correctness", calibrate("correctness", labelled), None, margin=0.05).relied_on
    found = calibrate("correctness", [*labelled, *answers("tuned", GOOD, [None] * 40)])
    standing = decide_standing("correctness", found, None, margin=0.05)
    assert not standing.relied_on
    assert any("tuned" in reason for reason in standing.reasons)


def test_answers_on_which_the_judge_failed_are_counted_and_left_out() -> None:
    broken = JudgedAnswer(arm="base", question_id="q0", cluster="c0", score=None, label=1.0)
    found = calibrate("correctness", [broken, *answers("base", GOOD, GOOD)[1:], *answers("rag", GOOD, GOOD)])
    assert (found.n_labels, found.n_judge_failed, found.kappa.n_missing) == (79, 1, 1)


def test_without_labels_nothing_is_known() -> None:
    found = calibrate("correctness", answers("base", GOOD, [None] * 40))
    assert (found.n_labels, found.kappa.value, found.agreement.value) == (0, None, None)
    assert not decide_standing("correctness", found, None, margin=0.05).relied_on
    assert calibrate("correctness", []).arms == ()


def test_partial_counts_as_not_right() -> None:
    half = [
        JudgedAnswer(arm="base", question_id=f"q{at}", cluster=f"c{at}", score=0.9, label=label)
        for at, label in enumerate((0.5, 1.0, 0.0, 1.0))
    ]
    found = calibrate("correctness", half)
    assert (found.confusion.both, found.confusion.judge_only) == (2, 2)


def test_a_judge_without_calibration_or_moved_by_injected_text_is_not_relied_on() -> None:
    assert decide_standing("correctness", None, None, margin=0.05).words == (
        "not relied on: not calibrated on labels of this study"
    )
    good = calibrate("correctness", [*answers("base", GOOD, GOOD), *answers("rag", GOOD, GOOD)])

    def shift(values: list[float]) -> object:
        return cluster_jackknife(
            lambda at: sum(values[i] for i in at) / len(at) if at else None,
            [str(at) for at in range(len(values))],
            undefined="no text was tried",
        )

    assert decide_standing("correctness", good, shift([0.0, 0.04]), margin=0.05).relied_on  # type: ignore[arg-type]
    moved = decide_standing("correctness", good, shift([0.2, 0.1]), margin=0.05)  # type: ignore[arg-type]
    assert moved.words == "not relied on: injected text moves it by +0.150, at most 0.05 is allowed"
    unknown = decide_standing("correctness", good, shift([]), margin=0.05)  # type: ignore[arg-type]
    assert "not known (no text was tried)" in unknown.words


def test_kappa_is_cohens_over_the_labelled_answers() -> None:
    judge, person = flipped(GOOD, 3, 5, 8), list(GOOD)
    found = calibrate("correctness", answers("base", judge, person))
    assert found.kappa.value == pytest.approx(cohen_kappa(judge, person) or 0)
