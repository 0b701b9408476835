from __future__ import annotations

import dataclasses

import pytest
from support.manual import manual

from fourfold.errors import FairnessError
from fourfold.ingest.candidates import find_candidates
from fourfold.ingest.cloze import BLANK, ClozeGenerator, cloze_question, find_blanks
from fourfold.text import contains_run, squad_tokens

SEEDS = "Seeds must be stored below 8 degrees Celsius and away from light."


def blanks(sentence: str) -> list[tuple[str, str]]:
    return [(blank.kind, sentence[blank.start : blank.end]) for blank in find_blanks(sentence)]


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("The tank holds 1,200 litres at 40% or 3.5 bar.", [("number", "1,200"), ("number", "40%"), ("number", "3.5")]),
        ("It runs at -5 degrees for two hours.", [("number", "-5"), ("number", "two")]),
        ("The rule holds since 2014 and was renewed on 3 March 2020.", [("date", "2014"), ("date", "3 March 2020")]),
        ("It closed on May 5, 1999, not on 2001-02-03.", [("date", "May 5, 1999"), ("date", "2001-02-03")]),
        ("They may close it at noon.", []),
        ("Table 3 and Figure 4 show systemd.unit(5) and version 2.", []),
        ("Write to 123@example.org or read part 2.1-3 of 4/5.", []),
        ("Ask the Debian Policy Editors or NASA.", [("name", "Debian Policy Editors"), ("name", "NASA")]),
        ("Copy debian/control to /etc/skel and set LC_ALL and/or x.", [
            ("name", "debian/control"), ("name", "/etc/skel"), ("name", "LC_ALL"),
        ]),
        ("Reading it helps. Writing does too.10 Drawing as well.", []),
        ("Use a GNU-style tool or README.Debian or Debian's own.", []),
        ("See http://a.example/b_c for more.", []),
        ("It is described elsewhere (see Picking a pump, or refer to Valves).", []),
        ("The X Window System and GIS Skills are parts of Linux.", [("name", "Linux")]),
        ("One Two Three Four Five Six helps.", []),
    ],
)  # fmt: skip
def test_dates_numbers_and_named_terms_can_be_taken_out(sentence: str, found: list[tuple[str, str]]) -> None:
    assert blanks(sentence) == found


def test_the_question_reads_as_one_and_names_section_and_kind() -> None:
    documents, blocks = manual({'Storing "seeds"': [SEEDS.replace(" below ", " below\n")]})
    ((candidate,),) = find_candidates(documents, blocks, seed=0).values()
    (blank, _) = find_blanks(candidate.quote)
    assert cloze_question(candidate, blank) == (
        "In \"Storing 'seeds'\", which number fills the blank: "
        f'"Seeds must be stored below {BLANK} degrees Celsius and away from light."?'
    )


SENTENCES = [
    f"Rule {'abcdefghijklmnop'[n]} asks crew {'stuvwxyzabcdefgh'[n]} to check {n + 20} valves." for n in range(16)
]


def test_the_answer_is_what_was_removed_and_the_quote_is_the_sentence() -> None:
    documents, blocks = manual({"Valves": SENTENCES})
    made = ClozeGenerator(seed=0).generate(documents, blocks, n_wanted=5)
    text = "\n\n".join(block.text for block in blocks)
    assert len(made.questions) == 5
    for question in made.questions:
        assert text[question.start : question.end] == question.quote
        before, _, after = question.question.partition(': "')[2].removesuffix('"?').partition(BLANK)
        assert before + question.reference + after == question.quote
        assert (question.kind, question.reference_source, question.split) == ("cloze number", "quote", "tuning")
        assert question.answerable is True


def test_a_blank_that_the_rest_gives_away_is_not_asked_for() -> None:
    twice = "The crew of the Aurora ship says that Aurora needs repairs and paint."
    heading = "The crew of the big ship says that Boilers needs repairs and paint."
    documents, blocks = manual({"Boilers": [twice, heading]})
    made = ClozeGenerator(seed=0, split="test").generate(documents, blocks, n_wanted=9)
    assert made.questions == ()
    assert made.refused == {"the rest gives the answer away": 2}
    for question in ClozeGenerator(seed=0).generate(*manual({"Valves": SENTENCES}), n_wanted=9).questions:
        assert not contains_run(squad_tokens(question.question), squad_tokens(question.reference))


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("This needs a pressure of 40 bar in the main pipe.", "the sentence does not stand alone"),
        ("The valves need the following pressure, 40 bar or more.", "the sentence does not stand alone"),
        ("Please see Handling Valves for the 40 bar in the pipe.", "the sentence does not stand alone"),
        ("The crew checks every valve of the boiler by hand.", "no number, date or named term"),
        ("It is not to be at 40 in all of the rooms.", "the sentence does not stand alone"),
        ("There is not to be more than 40 in all of the rooms.", "the rest says too little"),
    ],
)
def test_a_sentence_is_refused_for_the_reason(sentence: str, reason: str) -> None:
    made = ClozeGenerator(seed=0, split="test").generate(*manual({"Pipes": [sentence]}), n_wanted=1)
    assert made.questions == ()
    assert made.refused == {reason: 1}
    (count,) = [count for count in made.filters if count.n_dropped]
    assert count.examples == (sentence,)


def test_the_subject_of_a_document_is_no_fact_of_it() -> None:
    sentences = [f"The harbour of Lerwick has a {word} crane for boats." for word in ("red", "tall", "new", "old")]
    assert ClozeGenerator(seed=0, split="test").generate(*manual({"Port": sentences}), n_wanted=4).questions == ()
    assert (
        len(ClozeGenerator(seed=0, split="test").generate(*manual({"Port": sentences[:1]}), n_wanted=4).questions) == 1
    )


def test_tuning_covers_a_document_with_any_long_word_and_a_test_does_not() -> None:
    plain = manual({"Valves": ["The crew checks every valve of the boiler by hand."]})
    (question,) = ClozeGenerator(seed=0).generate(*plain, n_wanted=1).questions
    assert (question.kind, question.reference) == ("cloze word", "boiler") or question.reference == "checks"
    assert ClozeGenerator(seed=0, split="test").generate(*plain, n_wanted=1).questions == ()


def test_a_document_that_cannot_be_covered_stops_tuning_unless_it_is_covered_already() -> None:
    bare = manual({"Valves": ["It is as it is and so are we all."]})
    with pytest.raises(FairnessError, match=r"manual\.pdf"):
        ClozeGenerator(seed=0).generate(*bare, n_wanted=1)
    covered = ClozeGenerator(seed=0, covered=frozenset({"manual"}))
    assert covered.generate(*bare, n_wanted=1).questions == ()


def test_another_seed_asks_about_other_sentences_and_the_same_seed_about_the_same() -> None:
    documents, blocks = manual({"Valves": SENTENCES})
    one, same, other = (
        ClozeGenerator(seed=seed).generate(documents, blocks, n_wanted=5).questions for seed in (0, 0, 1)
    )
    assert one == same
    assert {question.start for question in one} != {question.start for question in other}


def test_skipped_sentences_and_more_than_a_share_of_them_are_not_asked_about() -> None:
    documents, blocks = manual({"Valves": SENTENCES})
    first = ClozeGenerator(seed=1, split="test", max_share=0.5).generate(documents, blocks, n_wanted=99).questions
    assert len(first) == 8
    taken = {question.start for question in first}
    second = ClozeGenerator(seed=0).generate(documents, blocks, n_wanted=99, skip=lambda c: c.start in taken).questions
    assert len(second) == 8
    assert not taken & {question.start for question in second}


def test_a_repeated_sentence_is_asked_about_once() -> None:
    documents, blocks = manual({"Valves": [SEEDS, SEEDS]})
    made = ClozeGenerator(seed=0, split="test").generate(documents, blocks, n_wanted=2)
    starts = {question.reference: question for question in made.questions}
    assert len(starts) == len(made.questions)
    assert "nearly repeats another question" in made.refused or len(made.questions) == 2


def test_unfiltered_keeps_what_a_check_would_drop() -> None:
    documents, blocks = manual({"Pipes": ["This needs a pressure of 40 bar in the main pipe."]})
    assert (
        len(ClozeGenerator(seed=0, split="test", filtered=False).generate(documents, blocks, n_wanted=1).questions) == 1
    )


def test_a_questions_section_gives_its_tags() -> None:
    documents, blocks = manual({"Valves": SENTENCES[:1], "Pipes": SENTENCES[1:2]})
    tags = {("manual", ("Manual", "Pipes")): ("part: pipe",)}
    found = ClozeGenerator(seed=0, tags=tags).generate(documents, blocks, n_wanted=2).questions
    assert {question.section[-1]: question.tags for question in found} == {"Valves": (), "Pipes": ("part: pipe",)}
    assert dataclasses.replace(found[0], tags=()) in {dataclasses.replace(question, tags=()) for question in found}
