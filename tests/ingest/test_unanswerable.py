from __future__ import annotations

import pytest
from support.manual import manual

from fourfold.errors import FairnessError, QuestionError
from fourfold.ingest.cloze import ClozeGenerator
from fourfold.ingest.corpus import Corpus
from fourfold.ingest.unanswerable import REFERENCE, ask_outside, exchange_names, make_unanswerable

PLACES = ("Lerwick", "Oban", "Wick", "Rum", "Stirling", "Perth", "Ayr", "Nairn")
DOCUMENTS, BLOCKS = manual({
    "Valves": [f"Crew {n} of the {place} plant has to check {n + 20} valves." for n, place in enumerate(PLACES)],
})  # fmt: skip
OTHER_DOCUMENTS, OTHER_BLOCKS = manual(
    {"Ports": [
        "Boats from the harbour of Skye carry 90 barrels of fish.",
        "Ships that leave Lerwick for Port Ellen carry 40 sheep.",
    ]},
    name="outside",
)  # fmt: skip
OUTSIDE = Corpus(documents=tuple(OTHER_DOCUMENTS), blocks=tuple(OTHER_BLOCKS))


def test_questions_on_other_documents_have_a_refusal_as_reference_and_no_gold() -> None:
    found = ask_outside(OUTSIDE, DOCUMENTS, n_wanted=2, seed=0)
    assert len(found) == 2
    for question in found:
        assert (question.answerable, question.reference, question.key_facts) == (False, REFERENCE, ())
        assert question.start == question.end
        assert (question.split, question.document, question.kind) == ("test", "outside.pdf", "unanswerable outside")


def test_a_document_of_the_corpus_is_not_outside() -> None:
    with pytest.raises(FairnessError, match=r"manual\.pdf \(= manual\.pdf\)"):
        ask_outside(Corpus(documents=tuple(DOCUMENTS), blocks=tuple(BLOCKS)), DOCUMENTS, n_wanted=1, seed=0)


MADE = ClozeGenerator(seed=0, split="test").generate(DOCUMENTS, BLOCKS, n_wanted=8).questions


def test_a_name_is_exchanged_for_one_that_the_corpus_does_not_hold() -> None:
    asked = [question for question in MADE if question.kind == "cloze number"]
    assert 0 < len(asked) < len(MADE)
    found = exchange_names(MADE, BLOCKS, OUTSIDE, n_wanted=9, seed=0)
    assert {question.question_id for question in found} == {f"u-{question.question_id}" for question in asked}
    text = "\n".join(block.text for block in BLOCKS)
    for question in found:
        (new,) = [name for name in ("Skye", "Port Ellen", *PLACES) if name in question.question]
        # Of one word, as the name that it replaces; Lerwick stands in the corpus.
        assert new == "Skye"
        assert new not in text
        assert (question.answerable, question.reference, question.start) == (False, REFERENCE, question.end)


def test_no_more_are_made_than_wanted_and_none_without_new_names() -> None:
    assert len(exchange_names(MADE, BLOCKS, OUTSIDE, n_wanted=1, seed=0)) == 1
    assert exchange_names(MADE, [*BLOCKS, *OTHER_BLOCKS], OUTSIDE, n_wanted=1, seed=0) == ()


def test_a_path_is_not_exchanged_for_a_place_nor_a_place_for_an_acronym() -> None:
    documents, blocks = manual(
        {"Valves": [f"Crew {n} of the {name} plant has to check {n + 20} valves." for n, name in enumerate(PLACES)]
         + [f"Crew {n} looks up /etc/valves.{n} and finds {n + 40} of them there." for n in range(8)]}, name="both",
    )  # fmt: skip
    made = ClozeGenerator(seed=0, split="test").generate(documents, blocks, n_wanted=16).questions
    others, other_blocks = manual({"Ports": ["Boats from the NORTH of /usr/ports carry 90 barrels."]}, name="outside")
    outside = Corpus(documents=tuple(others), blocks=tuple(other_blocks))
    found = exchange_names(made, blocks, outside, n_wanted=16, seed=0)
    assert found
    assert all("/usr/ports" in question.question and "plant" not in question.question for question in found)


def test_a_share_is_made_of_both_kinds_and_outside_makes_up_for_names_that_run_out() -> None:
    def kinds(outside: Corpus, n_answerable: int, share: float) -> list[str]:
        made = make_unanswerable(outside, DOCUMENTS, BLOCKS, n_answerable=n_answerable, share=share, seed=0)
        return [question.kind.removeprefix("unanswerable ") for question in made]

    # 2 of 8 are a quarter; of a share that rounds to none, one is made all the same.
    assert kinds(OUTSIDE, 6, 0.25) == ["outside", "exchanged"]
    assert kinds(OUTSIDE, 6, 0.05) == ["outside"]
    known, blocks = manual({"Ports": [f"Boats that leave {p} carry {n + 90} sheep." for n, p in enumerate(PLACES)]},
                           name="known")  # fmt: skip
    assert kinds(Corpus(documents=tuple(known), blocks=tuple(blocks)), 4, 0.5) == ["outside"] * 4


def test_documents_outside_without_anything_to_ask_for_are_told() -> None:
    documents, blocks = manual({"Ports": ["Boats."]}, name="bare")
    bare = Corpus(documents=tuple(documents), blocks=tuple(blocks))
    with pytest.raises(QuestionError, match="no unanswerable question can be made"):
        make_unanswerable(bare, DOCUMENTS, BLOCKS, n_answerable=9, share=0.2, seed=0)
