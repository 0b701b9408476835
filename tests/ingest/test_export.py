from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from support.manual import manual
from support.questions import make_question

from fourfold.ingest.cloze import ClozeGenerator
from fourfold.ingest.export import Origin, chat_lines, data_card, squad_json
from fourfold.ingest.filter_log import FilterCount
from fourfold.ingest.question_metrics import measure_questions
from fourfold.ingest.questions_file import read_questions
from fourfold.prompts import answer_chat

DOCUMENTS, BLOCKS = manual(
    {
        "Valves": [f"Rule {'abcdef'[n]} asks crew {'stuvwx'[n]} to check {n + 20} valves." for n in range(6)],
    }
)
MADE = ClozeGenerator(seed=0, split="test").generate(DOCUMENTS, BLOCKS, n_wanted=4).questions
ORIGIN = Origin(
    study="s", generator="cloze", model="no model", made_by={"fourfold": "0.1", "commit": "c"}, licence=None
)


def test_a_chat_line_is_the_prompt_of_the_arm_without_contexts_and_the_reference() -> None:
    lines = [json.loads(line) for line in chat_lines(MADE, "Answer.").splitlines()]
    assert len(lines) == 4
    for line, question in zip(lines, MADE, strict=True):
        *prompt, answer = line["messages"]
        turns = answer_chat("Answer.", question.question, None)
        assert prompt == [{"role": turn.role, "content": turn.content} for turn in turns]
        assert answer == {"role": "assistant", "content": question.reference}


def test_a_squad_answer_stands_at_its_place_in_the_paragraph() -> None:
    across = dataclasses.replace(MADE[0], start=0, end=BLOCKS[1].end, quote="x", reference="check 21")
    changed = dataclasses.replace(MADE[1], reference="about 21 of them")
    file = json.loads(squad_json([*MADE[2:], across, changed], BLOCKS))
    (article,) = file["data"]
    assert (file["version"], article["title"]) == ("v2.0", "manual.pdf")
    found = {}
    for paragraph in article["paragraphs"]:
        for item in paragraph["qas"]:
            (answer,) = item["answers"]
            assert paragraph["context"].startswith(answer["text"], answer["answer_start"])
            assert item["is_impossible"] is False
            found[item["id"]] = (answer["text"], answer["answer_start"])
    assert [found[question.question_id][0] for question in MADE[2:]] == [question.reference for question in MADE[2:]]
    text = "\n\n".join(block.text for block in BLOCKS)
    assert found[across.question_id] == ("check 21", text.index("check 21"))
    # What is not in the quote word for word is the quote.
    assert found[changed.question_id] == (MADE[1].quote, 0)


def test_a_reference_after_the_quote_is_not_taken_for_it() -> None:
    question = dataclasses.replace(MADE[0], start=0, end=6, quote="Rule a", reference="valves")
    (paragraph,) = json.loads(squad_json([question], BLOCKS))["data"][0]["paragraphs"]
    assert paragraph["qas"][0]["answers"] == [{"text": "Rule a", "answer_start": 0}]


def test_an_unanswerable_question_has_no_answer_and_its_quote_as_paragraph() -> None:
    question = make_question(
        "u", answerable=False, start=5, end=5, doc_id="elsewhere", document="o.pdf", quote="The quote."
    )
    (article,) = json.loads(squad_json([question], BLOCKS))["data"]
    assert article["paragraphs"] == [
        {
            "context": "The quote.",
            "qas": [{"id": "u", "question": question.question, "answers": [], "is_impossible": True}],
        }
    ]


def test_our_squad_is_read_back_by_our_reader(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text(squad_json(MADE, BLOCKS), encoding="utf-8")
    again = read_questions(path, DOCUMENTS, BLOCKS, subset=None)
    by_id = {question.question_id: question for question in again}
    for question in MADE:
        own = by_id[question.question_id]
        assert (own.question, own.reference, own.start, own.end) == (
            question.question, question.reference, question.start, question.end,
        )  # fmt: skip


def test_the_card_counts_what_is_there_and_what_was_dropped() -> None:
    counts = [FilterCount(name="tuning: short", n_seen=9, n_dropped=2, examples=("a | b\nc",))]
    card = data_card(
        [*MADE, make_question("m")], DOCUMENTS, ORIGIN, filters=counts,
        metrics={"test": measure_questions(MADE, n_sections=1), "tuning": measure_questions([], n_sections=0)},
    )  # fmt: skip
    lines = card.splitlines()
    assert "| test | cloze number | words of the quote | 4 |" in lines
    assert "| tuning | not given | written by the model | 1 |" in lines
    assert "| tuning: short | 9 | 2 | a \\| b c |" in lines
    assert "| test | section share | 1.000 |" in lines
    assert "| tuning | section share | – |" in lines
    assert "| manual.pdf | 1 | manual |" in lines
    assert any(line.startswith("- Licence: not stated.") for line in lines)
    stated = data_card([], [], dataclasses.replace(ORIGIN, licence="CC0-1.0"), filters=[], metrics={})
    assert "- Licence: CC0-1.0." in stated.splitlines()
