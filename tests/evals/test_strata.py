from __future__ import annotations

from support.questions import make_question
from support.reports import make_report

from fourfold.evals.report.strata import not_recorded
from fourfold.types import Question


def questions(*fields: dict[str, object]) -> list[Question]:
    return [
        make_question(f"q{at}", split="test", stratum="document tuned", section=("Pumps", f"Part {at}"), **own)
        for at, own in enumerate(fields)
    ]


def test_a_question_with_two_tags_counts_in_both_strata() -> None:
    asked = questions({"tags": ("crop", "place")}, {"tags": ("crop",)}, {})
    report = make_report({"base": [1, 0, 1], "rag": [1, 1, 1]}, questions=asked)
    found = {s.stratum: s.estimate for s in report.strata if s.group == "tag" and s.arm == "base"}
    assert {name: (estimate.value, estimate.n) for name, estimate in found.items()} == {
        "crop": (0.5, 2),
        "place": (1.0, 1),
        "none": (1.0, 1),
    }


def test_what_some_records_tell_stands_beside_what_the_others_do_not() -> None:
    asked = questions({"evidence": "table", "n_passages": 2}, {"evidence": "text"}, {})
    report = make_report({"base": [1, 0, 1], "rag": [1, 1, 1]}, questions=asked)
    found = {(s.group, s.stratum): s.estimate.value for s in report.strata if s.arm == "base"}
    assert found["evidence", "table"] == 1
    assert found["evidence", "text"] == 0
    assert found["evidence", "not recorded"] == 1
    assert found["passages needed", "several"] == 1
    assert report.not_recorded == ("tag",)


def test_groups_that_no_record_tells_of_are_named_and_not_shown() -> None:
    asked = questions({}, {})
    report = make_report({"base": [1, 0], "rag": [1, 1]}, questions=asked)
    assert report.not_recorded == not_recorded(asked) == ("tag", "evidence", "passages needed")
    assert not {s.group for s in report.strata} & set(report.not_recorded)
