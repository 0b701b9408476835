from __future__ import annotations

import dataclasses

import pytest
from support.reports import SMALL, Table, arm_of, make_questions, make_report

from fourfold.evals.compare import paired_difference
from fourfold.evals.cost import Ranking
from fourfold.evals.estimate import Estimate
from fourfold.evals.report.data import Report
from fourfold.evals.report.sentence import below_control, caveats, format_estimate
from fourfold.study import RetrievalSettings, StudySettings


@pytest.fixture(scope="module")
def small() -> Report:
    """Four arms on four questions and one on an unseen document; base failed on the third."""
    return make_report(SMALL, n_unseen=1)


@pytest.mark.parametrize(
    ("arm", "mean", "with_failed_as_wrong", "refusals", "n_failed"),
    [("base", 1 / 3, 1 / 4, 2 / 3, 1), ("rag", 3 / 4, 3 / 4, 1 / 4, 0), ("tuned", 1 / 4, 1 / 4, 3 / 4, 0)],
)
def test_a_failed_answer_is_left_out_of_the_mean_and_counted_as_wrong_beside_it(
    small: Report, arm: str, mean: float, with_failed_as_wrong: float, refusals: float, n_failed: int
) -> None:
    found = arm_of(small, arm)
    assert found.metrics["key_fact_recall"].value == pytest.approx(mean)
    assert found.failed_as_wrong["key_fact_recall"].value == pytest.approx(with_failed_as_wrong)
    assert found.metrics["token_f1"].value == pytest.approx(mean / 2)
    assert found.failed_as_wrong["token_f1"].value == pytest.approx(with_failed_as_wrong / 2)
    assert found.refusals.value == pytest.approx(refusals)
    assert found.n_failed == n_failed
    assert (found.metrics["token_f1"].n, found.metrics["token_f1"].n_missing) == (4 - n_failed, n_failed)
    assert (found.failed_as_wrong["token_f1"].n, found.failed_as_wrong["token_f1"].n_missing) == (4, 0)


def test_tokens_and_log_probabilities_are_means_over_the_verdicts_answered_questions(small: Report) -> None:
    base, rag = arm_of(small, "base"), arm_of(small, "rag")
    # base answered the first, second and fourth question: 1, 2 and 4 tokens.
    assert base.prompt_tokens == 10
    assert base.answer_tokens == pytest.approx(7 / 3)
    assert base.mean_logprob == pytest.approx(-7 / 6)
    assert (rag.prompt_tokens, rag.answer_tokens, rag.mean_logprob) == (100, 2.5, -1.25)
    # The first answer was cut off; so was that on the unseen document.
    assert (base.n_cut_off, rag.n_cut_off) == (1, 1)


def test_a_difference_is_the_later_arm_minus_the_earlier_on_the_pairs_both_finished(small: Report) -> None:
    pairs = [("rag", "base"), ("tuned", "base"), ("tuned + rag", "base"),
             ("tuned", "rag"), ("tuned + rag", "rag"), ("tuned + rag", "tuned")]  # fmt: skip
    by_hand = [1 / 3, 0, 2 / 3, -1 / 2, 1 / 4, 3 / 4]
    for metric, unit in (("key_fact_recall", 1), ("token_f1", 1 / 2)):
        found = [d for d in small.differences if d.metric == metric]
        assert [(d.a, d.b) for d in found] == pairs
        assert [d.paired.difference.value for d in found] == pytest.approx([unit * value for value in by_hand])
        assert [(d.paired.n, d.paired.n_missing) for d in found] == 3 * [(3, 1)] + 3 * [(4, 0)]


def test_unseen_documents_are_counted_as_transfer_and_stand_in_their_stratum_only(small: Report) -> None:
    assert (small.n_questions, small.n_transfer, small.verdict.n_questions) == (4, 1, 4)
    other = make_report({arm: [*values[:4], 0 if values[4] else 1] for arm, values in SMALL.items()}, n_unseen=1)
    for part in ("sentence", "verdict", "arms", "differences", "retrieval", "caveats"):
        assert getattr(other, part) == getattr(small, part), part
    assert other.strata != small.strata
    # All questions are shown, the unseen ones too.
    assert [q.question_id for q in small.questions] == ["q0", "q1", "q2", "q3", "q4"]


def test_strata_worked_by_hand(small: Report) -> None:
    found = {(s.group, s.stratum): s.estimate for s in small.strata if s.arm == "base"}
    assert {key: estimate.value for key, estimate in found.items()} == {
        ("distance to tuning", "document tuned"): 0,
        ("distance to tuning", "document unseen"): 1,
        ("distance to tuning", "fact asked"): 1,
        ("closed book, by base", "base failed"): None,
        ("closed book, by base", "known"): 1,
        ("closed book, by base", "not known"): 0,
        ("documents with the fact", "one"): 0.5,
        ("document", "new.pdf"): 1,
        ("document", "pump.pdf"): pytest.approx(1 / 3),
        ("type", "not given"): pytest.approx(1 / 2),
        ("type", "number"): pytest.approx(1 / 2),
    }
    assert (found["type", "not given"].n, found["type", "not given"].n_missing) == (2, 1)


def test_strata_are_clustered_as_the_report_says_also_where_unseen_documents_make_thirty() -> None:
    # Of each of 29 tuned documents and of one unseen one: two questions in one section and one in another.
    questions = [
        dataclasses.replace(question, doc_id=f"d{place // 3}", section=("Oil" if place % 3 else "Pumps",))
        for place, question in enumerate(make_questions(90, n_unseen=3))
    ]
    report = make_report({"base": [place % 2 for place in range(90)]}, questions=questions)
    assert report.cluster_kind == "section"
    (tuned,) = (s.estimate for s in report.strata if s.stratum == "document tuned")
    # The first document's first question, alone in its section, is the one asked in tuning.
    assert (tuned.n, tuned.n_clusters) == (86, 57)


def test_retrieval_is_the_mean_over_the_verdicts_questions(small: Report) -> None:
    # Three of four find their gold; the unseen document's question, found too, is left out.
    assert {name: found.value for name, found in small.retrieval.items()} == {
        "recall@3": 3 / 4, "mrr@3": 3 / 8, "ndcg@3": 3 / 16
    }  # fmt: skip
    assert {found.n for found in small.retrieval.values()} == {4}
    assert make_report({"base": [1, 0], "tuned": [0, 1]}).retrieval == {}


@pytest.mark.parametrize(
    ("table", "advice", "winner"),
    [
        ({"base": 8 * [1], "rag": 8 * [0]}, "Neither: use the base model as it is. ", "base"),
        ({"base": 8 * [0], "rag": 8 * [1]}, "Retrieve. ", "rag"),
        ({"base": 8 * [0], "tuned": 8 * [1]}, "Fine-tune. ", "tuned"),
        ({"rag": 8 * [0], "tuned + rag": 8 * [1]}, "Both: fine-tune and retrieve. ", "tuned + rag"),
    ],
)
def test_the_sentence_starts_with_what_to_do_and_names_the_winner(table: Table, advice: str, winner: str) -> None:
    report = make_report(table)
    assert report.verdict.winner == winner
    assert report.sentence.startswith(f"{advice}{winner} is the cheapest arm shown not worse")
    first, second = table
    figures = f"{first} {table[first][0]:.3f} [", f"{second} {table[second][0]:.3f} ["
    assert all(figure in report.sentence for figure in figures)


def test_without_a_winner_the_sentence_says_not_enough_evidence_and_advises_nothing(small: Report) -> None:
    assert small.verdict.winner is None
    assert small.sentence.startswith("Not enough evidence: ")
    assert "Key fact recall: base 0.333 [" in small.sentence


@pytest.mark.parametrize(
    ("table", "says_so"),
    [
        (SMALL, True),
        ({"base": 8 * [0], "tuned": 8 * [1]}, True),
        ({"rag": [0, 1], "tuned + rag": [1, 1]}, True),
        # Nothing was tuned: there is no seed and no format to control for.
        ({"base": [0, 1], "rag": [1, 1]}, False),
    ],
)
def test_the_sentence_says_one_seed_and_no_format_control_wherever_an_arm_is_tuned(table: Table, says_so: bool) -> None:
    report = make_report(table)
    assert report.sentence.endswith(" One seed, no format control.") is says_so
    assert ("One seed" in report.sentence) is says_so
    assert any("answer style, not knowledge" in caveat for caveat in report.caveats) is says_so


def test_caveats_name_the_failures_per_arm_and_what_the_cost_leaves_out(small: Report) -> None:
    assert any(caveat.startswith("Failed items (base 1) are left out") for caveat in small.caveats)
    assert any("tokens a question (no prices); tuning and indexing are not in it" in caveat for caveat in small.caveats)
    whole = make_report({"base": [1, 0], "rag": [0, 1]})
    assert not any("Failed" in caveat for caveat in whole.caveats)


def test_a_cost_that_leaves_the_retrieval_modules_out_is_told(small: Report) -> None:
    study = StudySettings.model_validate({"name": "a", "corpus": {"folder": "pdfs"}, "retrieval": {"rewriter": {}}})
    ranking = Ranking(unit="tokens", values={}, reason="no prices")
    plain = study.model_copy(update={"retrieval": RetrievalSettings()})
    told, untold = (caveats(small.verdict, one, ranking, frozen_rule_kept=True) for one in (study, plain))
    assert sum("rewriter and filter" in text for text in told) == 1
    assert not any("rewriter and filter" in text for text in untold)


def test_a_rule_changed_after_the_answers_makes_the_verdict_exploratory(small: Report) -> None:
    changed = make_report({"base": [1, 0], "rag": [0, 1]}, frozen_rule_kept=False)
    assert "exploratory" in changed.caveats[0]
    assert not any("exploratory" in caveat for caveat in small.caveats)


def test_a_question_is_shown_with_its_chunks_and_every_arms_answer(small: Report) -> None:
    first, third = small.questions[0], small.questions[2]
    assert (first.section, first.document, first.stratum, first.kind) == (
        "Pumps › Part 0", "pump.pdf", "fact asked", "number"
    )  # fmt: skip
    # The gold is [0, 10) of d1: the first chunk holds six characters, another document's none, the next none.
    assert [(c.rank, c.chunk_id, c.document, c.holds_gold) for c in first.contexts] == [
        (1, "c0", "pump.pdf", 0.6), (2, "c1", "new.pdf", 0), (3, "c2", "pump.pdf", 0)
    ]  # fmt: skip
    assert [(a.arm, a.text, a.failure) for a in third.answers] == [
        ("base", None, "prompt too long"),
        ("rag", "rag says 2", None),
        ("tuned", "tuned says 2", None),
        ("tuned + rag", "tuned + rag says 2", None),
    ]
    assert third.answers[0].scores == {"key_fact_recall": None, "token_f1": None, "refusal": None}
    assert third.answers[1].scores["token_f1"] == 0.5


@pytest.mark.parametrize(
    ("value", "interval", "reason", "plain", "signed"),
    [
        (0.42, (0.31, 0.53), None, "0.420 [0.310, 0.530]", "+0.420 [+0.310, +0.530]"),
        (-0.5, (-0.75, 0.25), None, "-0.500 [-0.750, 0.250]", "-0.500 [-0.750, +0.250]"),
        (0.5, (None, None), "one cluster", "0.500 (no interval: one cluster)", "+0.500 (no interval: one cluster)"),
        (None, (None, None), "no values", "– (no values)", "– (no values)"),
    ],
)
def test_an_estimate_in_words(
    value: float | None, interval: tuple[float | None, float | None], reason: str | None, plain: str, signed: str
) -> None:
    low, high = interval
    estimate = Estimate(
        value=value, low=low, high=high, se=None, dof=None, n=2, n_missing=0, n_clusters=2, method="", reason=reason
    )
    assert format_estimate(estimate) == plain
    assert format_estimate(estimate, signed=True) == signed


def test_an_arm_without_answers_has_no_mean_and_no_tokens() -> None:
    rag = arm_of(make_report({"base": [1, 1], "rag": [None, None]}), "rag")
    assert (rag.metrics["key_fact_recall"].value, rag.metrics["key_fact_recall"].reason) == (None, "no values")
    assert rag.failed_as_wrong["key_fact_recall"].value == 0
    assert (rag.prompt_tokens, rag.answer_tokens, rag.mean_logprob, rag.n_failed) == (None, None, None, 2)


def test_the_sentence_says_where_nobody_has_read_the_test_questions() -> None:
    generated = [dataclasses.replace(question, reference_source="quote") for question in make_questions(4)]
    table: Table = {"base": [1, 0, 1, 0], "rag": [1, 1, 1, 1]}
    assert make_report(table, questions=generated).sentence.endswith("Test questions generated, not reviewed.")
    assert "not reviewed" not in make_report(table).sentence


@pytest.mark.parametrize(("tuned", "control", "told"), [(0, 1, True), (1, 0, False), (1, 1, False)])
def test_a_tuned_arm_that_is_shown_below_its_format_control_is_told(tuned: int, control: int, told: bool) -> None:
    def scores(value: int) -> dict[str, float | None]:
        # One question scores otherwise, so that there is a spread.
        return {f"q{at}": float(value if at else 1 - value) for at in range(12)}

    clusters = {f"q{at}": f"c{at}" for at in range(12)}
    paired = paired_difference(scores(tuned), scores(control), clusters, seed=0)
    row = dataclasses.replace(
        make_report(SMALL).differences[0], a="tuned", b="control", metric="token_f1", paired=paired
    )
    found = below_control("token_f1", [row])
    assert bool(found) is told
    assert all("tuned is below its format control by -0.833 [" in text for text in found)
    assert below_control("exact_match", [row]) == ()
    assert below_control("token_f1", [dataclasses.replace(row, b="base")]) == ()
