from __future__ import annotations

from pathlib import Path

from fourfold.arms import CONTROL_OF, PLAN, PLANS, adapter_names, arms_of
from fourfold.study import AnswerSettings, CorpusSettings, StudySettings, TuningSettings
from fourfold.types import ARMS


def study(tuning: TuningSettings, answer: AnswerSettings | None = None) -> StudySettings:
    return StudySettings(
        name="a", corpus=CorpusSettings(folder=Path("pdfs")), tuning=tuning, answer=answer or AnswerSettings()
    )


def names(settings: StudySettings) -> list[str]:
    return [plan.name for plan in arms_of(settings)]


def test_the_contestants_are_the_six_of_the_rules_in_their_order() -> None:
    assert tuple(plan.name for plan in PLANS if plan.role == "contestant") == ARMS
    assert names(study(TuningSettings())) == list(ARMS)


def test_an_arm_and_its_control_differ_in_the_adapter_alone() -> None:
    for arm, control in CONTROL_OF.items():
        assert (PLAN[arm].retrieves, PLAN[arm].shots) == (PLAN[control].retrieves, PLAN[control].shots)
        assert (PLAN[arm].adapter, PLAN[control].adapter) == ("mixture", "control")


def test_a_control_comes_with_the_arm_that_it_explains() -> None:
    tuning = TuningSettings(control=Path("other"))
    assert names(study(tuning, AnswerSettings(arms=("base", "tuned")))) == ["base", "tuned", "control"]
    assert names(study(tuning, AnswerSettings(arms=("base", "rag")))) == ["base", "rag"]


def test_single_forms_add_both_forms_with_and_without_retrieval() -> None:
    added = names(study(TuningSettings(single_forms=True)))[len(ARMS) :]
    assert added == ["closed-book form", "closed-book form + rag", "contexts form", "contexts form + rag"]


def test_every_seed_has_an_adapter_and_the_others_have_the_first_seed() -> None:
    tuning = TuningSettings(seeds=(3, 1, 4), control=Path("other"), single_forms=True)
    assert adapter_names(study(tuning)) == {
        "tune": ("mixture", 3),
        "tune-seed-1": ("mixture", 1),
        "tune-seed-4": ("mixture", 4),
        "tune-control": ("control", 3),
        "tune-with-contexts": ("with contexts", 3),
        "tune-without-contexts": ("without contexts", 3),
    }


def test_a_study_without_tuned_arms_tunes_nothing() -> None:
    assert adapter_names(study(TuningSettings(single_forms=True), AnswerSettings(arms=("base", "rag")))) == {}
