from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from fourfold.errors import FairnessError
from fourfold.ingest.filters import content_words
from fourfold.ingest.generate import Generated, GenerationSettings, generate_questions
from fourfold.types import Block, Document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fourfold.llm.port import Chat

SETTINGS = GenerationSettings(seed=0, candidates_per_question=8, max_question_tokens=64, max_reference_tokens=32)


def ask(sentence: str) -> str | None:
    words = content_words(sentence)
    return f"Which rule covers {words[0]} {words[1]} {words[2]} {words[3]}?"


def tell(sentence: str) -> str | None:
    return " ".join(sentence.rstrip(".").split()[-4:])


class Script:
    """A model that writes by rule from the sentence in its prompt, and keeps what it was asked."""

    def __init__(self, question: Callable[[str], str | None] = ask, answer: Callable[[str], str | None] = tell) -> None:
        self.question, self.answer = question, answer
        self.asked: list[tuple[list[str], int]] = []

    def __call__(self, chats: Sequence[Chat], max_tokens: int) -> list[str | None]:
        prompts = [chat[-1].content for chat in chats]
        self.asked.append((prompts, max_tokens))
        return [self._write(prompt.rpartition("Sentence: ")[2]) for prompt in prompts]

    def _write(self, prompt: str) -> str | None:
        sentence, is_answer, _ = prompt.partition("\nQuestion: ")
        return self.answer(sentence) if is_answer else self.question(sentence)


def sentence(name: str, number: int) -> str:
    return f"Rule {number} of {name} says that crews check valve {number} every {number + 2} hours before the shift."


def manuals(sizes: Mapping[str, int]) -> tuple[list[Document], list[Block]]:
    """Per name a document of so many one-sentence blocks, four to a section."""
    documents, blocks = [], []
    for name, size in sizes.items():
        start = 0
        for at in range(size):
            text = sentence(name, at)
            blocks.append(
                Block(
                    doc_id=name, position=at, kind="text", page=at + 1, bbox=(0, 0, 1, 1), start=start,
                    end=start + len(text), section=("Manual", f"Part {at // 4}"), text=text,
                )
            )  # fmt: skip
            start += len(text) + len("\n\n")
        documents.append(
            Document(doc_id=name, name=f"{name}.pdf", title="", status="read", reason=None, n_pages=size, n_chars=start)
        )
    return documents, blocks


def generate(
    sizes: Mapping[str, int], script: Script, n_wanted: int, settings: GenerationSettings = SETTINGS
) -> Generated:
    return generate_questions(*manuals(sizes), script, n_wanted=n_wanted, settings=settings)


def test_every_document_is_covered_in_proportion_to_its_size() -> None:
    made = generate({"north": 28, "south": 11, "east": 1}, Script(), 8)
    assert Counter(question.doc_id for question in made.questions) == {"north": 5, "south": 2, "east": 1}
    assert Counter(question.doc_id for question in generate({"north": 30, "east": 1}, Script(), 1).questions) == {
        "north": 1,
        "east": 1,
    }


def test_a_question_carries_its_quote_and_the_models_answer() -> None:
    documents, blocks = manuals({"north": 12})
    made = generate_questions(documents, blocks, Script(), n_wanted=3, settings=SETTINGS)
    text = "\n\n".join(block.text for block in blocks)
    assert len({question.question_id for question in made.questions}) == 3
    # Three sections take turns.
    assert {question.section[-1] for question in made.questions} == {"Part 0", "Part 1", "Part 2"}
    for question in made.questions:
        assert text[question.start : question.end] == question.quote == sentence("north", question.page - 1)
        assert (question.question, question.reference) == (ask(question.quote), tell(question.quote))
        assert (question.split, question.document, question.stratum) == ("tuning", "north.pdf", None)
        assert (question.reference_source, question.kind, question.key_facts) == ("model", "generated", ())
    assert made.refused == {}


def test_the_same_question_about_two_sentences_has_two_ids() -> None:
    script = Script(question=lambda _: "Which rule says that crews check a valve?", answer=lambda some: some[:15])
    made = generate({"north": 2}, script, 2)
    assert len({question.question_id for question in made.questions}) == len(made.questions) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("every leap year", "not supported by the quote"),
        ("", "empty"),
        (None, "empty"),
        ("hours every", "not verbatim"),
    ],
)
def test_where_the_answer_fails_the_quote_is_the_reference_and_the_item_says_so(
    answer: str | None, reason: str
) -> None:
    made = generate({"north": 2}, Script(answer=lambda _: answer), 2)
    assert [(question.reference, question.reference_source) for question in made.questions] == [
        (question.quote, "quote") for question in made.questions
    ]
    assert len(made.questions) == 2
    assert made.refused == {f"answer, quote used instead: {reason}": 2}


def test_a_refused_question_is_counted_and_the_next_sentence_tried() -> None:
    replies = iter([None, "Valves.", "Which rule covers unknown matters of gardens?"])
    script = Script(question=lambda some: next(replies, ask(some)))
    made = generate({"north": 8}, script, 2)
    assert len(made.questions) == 2
    assert made.refused == {"question: not one question": 2, "question: not about the quote": 1}
    # Two rounds: twice as many as are missing, 4 for 2 and then 2 for 1.
    assert made.n_tried == 6
    # What is refused is asked for no answer.
    assert [len(prompts) for prompts, _ in script.asked] == [4, 1, 2, 2]


def test_a_document_with_a_question_stops_at_its_limit_of_candidates() -> None:
    settings = GenerationSettings(seed=0, candidates_per_question=3, max_question_tokens=9, max_reference_tokens=9)
    n_asked = iter(range(100))
    made = generate({"north": 40}, Script(question=lambda some: ask(some) if next(n_asked) == 0 else None), 2, settings)
    assert (len(made.questions), made.n_tried) == (1, 6)
    assert made.refused == {"question: not one question": 5}


def test_a_document_without_a_question_may_use_all_its_candidates() -> None:
    settings = GenerationSettings(seed=0, candidates_per_question=1, max_question_tokens=9, max_reference_tokens=9)
    n_asked = iter(range(100))
    made = generate(
        {"north": 39}, Script(question=lambda some: ask(some) if next(n_asked) == 38 else None), 2, settings
    )
    assert (len(made.questions), made.n_tried) == (1, 39)


def test_a_document_that_no_question_passes_for_stops_the_study() -> None:
    script = Script(question=lambda some: None if "south" in some else ask(some))
    with pytest.raises(FairnessError, match=r"passed the checks for: south\.pdf\n"):
        generate({"north": 4, "south": 4}, script, 4)


def test_a_corpus_without_candidates_stops_the_study() -> None:
    documents, _ = manuals({"north": 1})
    with pytest.raises(FairnessError, match=r"north\.pdf"):
        generate_questions(documents, [], Script(), n_wanted=4, settings=SETTINGS)


def test_fewer_are_written_where_candidates_run_out() -> None:
    made = generate({"north": 3}, Script(), 10)
    assert (len(made.questions), made.n_tried) == (3, 3)


def test_the_seed_alone_decides() -> None:
    sizes = {"north": 24, "south": 12}
    one = generate(sizes, Script(), 6)
    assert generate(sizes, Script(), 6) == one
    other = GenerationSettings(seed=1, candidates_per_question=8, max_question_tokens=64, max_reference_tokens=32)
    assert generate(sizes, Script(), 6, other).questions != one.questions


def test_a_round_asks_for_all_documents_at_once_questions_before_answers() -> None:
    script = Script()
    generate({"north": 8, "south": 8}, script, 2)
    (questions, question_tokens), (answers, answer_tokens) = script.asked
    assert (len(questions), question_tokens, answer_tokens) == (4, 64, 32)
    assert all(any(name in prompt for prompt in questions) for name in ("north", "south"))
    assert all("Question: " not in prompt for prompt in questions)
    assert [prompt.rpartition("\nQuestion: ")[2] for prompt in answers] == [
        ask(prompt.partition("Sentence: ")[2]) for prompt in questions
    ]


def test_the_prompt_names_the_lowest_section_or_else_the_document() -> None:
    documents, (block, *_) = manuals({"north": 1})
    bare = Block(
        doc_id="north", position=0, kind="text", page=1, bbox=(0, 0, 1, 1), start=0, end=block.end, section=(),
        text=block.text,
    )  # fmt: skip
    for only, name in ((block, "Part 0"), (bare, "north.pdf")):
        script = Script()
        generate_questions(documents, [only], script, n_wanted=1, settings=SETTINGS)
        assert script.asked[0][0] == [f"Section: {name}\nSentence: {block.text}"]


def test_white_space_of_replies_is_made_single() -> None:
    script = Script(
        question=lambda some: f"\n{(ask(some) or '').replace(' ', '  ')}\n",
        answer=lambda some: (tell(some) or "").replace(" ", "\n"),
    )
    (question,) = generate({"north": 1}, script, 1).questions
    assert (question.question, question.reference) == (ask(question.quote), tell(question.quote))


def test_a_question_that_nearly_repeats_another_is_dropped_unless_its_document_would_have_none() -> None:
    script = Script(question=lambda _: "Which rule says that crews check a valve?", answer=lambda _: "before the shift")
    made = generate({"north": 6, "south": 6}, script, 4)
    assert [question.doc_id for question in made.questions] == ["north", "south"]
    assert made.refused["nearly repeats another question"] > 0
    (count,) = [count for count in made.filters if count.name == "nearly repeats another question"]
    assert count.n_dropped == made.refused["nearly repeats another question"] == count.n_seen - 2


def test_unfiltered_keeps_whatever_the_model_wrote_but_nothing() -> None:
    settings = dataclasses.replace(SETTINGS, filtered=False)
    replies = iter(["", "Valves", "Valves", "Valves"])
    script = Script(question=lambda _: next(replies), answer=lambda _: "an invention")
    made = generate({"north": 4}, script, 2, settings)
    assert [(q.question, q.reference, q.reference_source) for q in made.questions] == [
        ("Valves", "an invention", "model"),
        ("Valves", "an invention", "model"),
    ]


def test_a_skipped_sentence_is_not_asked_about_and_a_covered_document_may_stay_without() -> None:
    documents, blocks = manuals({"north": 4, "south": 4})
    settings = dataclasses.replace(SETTINGS, covered=frozenset({"south"}))
    made = generate_questions(
        documents, blocks, Script(), n_wanted=8, settings=settings,
        skip=lambda c: c.doc_id == "south" or c.start == 0,
    )  # fmt: skip
    assert sorted(question.page for question in made.questions) == [2, 3, 4]
    assert {question.doc_id for question in made.questions} == {"north"}


def test_tags_of_a_section_stand_in_its_prompt_and_on_its_questions() -> None:
    tags = {("north", ("Manual", "Part 0")): ("part: valve",)}
    script = Script()
    made = generate({"north": 8}, script, 8, dataclasses.replace(SETTINGS, tags=tags))
    assert {question.tags for question in made.questions if question.section[-1] == "Part 0"} == {("part: valve",)}
    assert {question.tags for question in made.questions if question.section[-1] == "Part 1"} == {()}
    for prompt in script.asked[0][0]:
        assert ("\nAbout: part: valve\n" in prompt) == ("Section: Part 0\n" in prompt)
