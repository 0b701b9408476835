from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fourfold import rows, types
from fourfold.store import Draft, Store
from fourfold.types import (
    Answer,
    Block,
    Chunk,
    Document,
    Guideline,
    Judgement,
    Latency,
    LeakedPair,
    Preference,
    Question,
    Retrieved,
    Score,
)

RECORDS: tuple[object, ...] = (
    Document(
        doc_id="d", name="ä ö.pdf", title="", status="unread", reason="it is locked", n_pages=3, n_chars=0,
        unread_pages=(1, 3),
    ),
    Document(doc_id="e", name="b.pdf", title="'; DROP TABLE --", status="read", reason=None, n_pages=1, n_chars=9),
    Block(
        doc_id="d", position=0, kind="heading", page=1, bbox=(0.5, 1.0, 2.25, 1e-9), start=0, end=4,
        section=("1 Über", 'a "quoted" › part'), text="null\x00byte\n\t",
    ),
    Block(doc_id="d", position=1, kind="text", page=2, bbox=(0.0, 0.0, 1.0, 1.0), start=6, end=7, section=(), text="7"),
    Chunk(
        chunk_id="0c", doc_id="d", position=0, start=0, end=4, page_first=1, page_last=2, section=("x",), n_tokens=2,
        text="日本 🚀",
    ),
    Question(
        question_id="q", split="test", question="?", reference="", key_facts=(("a", "b"), ("c",)), doc_id="d",
        document="b.pdf", page=1, start=1, end=2, quote="q", section=("s",), reference_source="person", kind="k",
        stratum="document unseen",
    ),
    Question(
        question_id="r", split="tuning", question="1", reference="2", key_facts=(), doc_id="d", document="b.pdf",
        page=1, start=1, end=2, quote="q", section=(), reference_source="quote",
    ),
    LeakedPair(
        tuning_question="a", tuning_reference="b", test_question_id="q", test_question="c", jaccard=1.0,
        cosine=0.1 + 0.2,
    ),
    Retrieved(question_id="q", rank=1, chunk_id="0c", score=1 / 61, dense_rank=None, bm25_rank=2),
    Answer(
        arm="tuned + rag", tuning_seed=2, question_id="q", text="", failure=None, n_prompt_tokens=5, n_answer_tokens=1,
        mean_logprob=-0.0, finish_reason="stop", chunk_ids=("0c", "1c"),
        example_ids=("g-1",), generation="g",
    ),
    Answer(
        arm="base", tuning_seed=None, question_id="q", text=None, failure="too long", n_prompt_tokens=0,
        n_answer_tokens=0, mean_logprob=None, finish_reason=None, chunk_ids=(), example_ids=(), generation=None,
    ),
    Score(arm="base", tuning_seed=None, question_id="q", metric="token_f1", value=None, reason="not answered"),
    Score(arm="tuned", tuning_seed=1, question_id="q", metric="token_f1", value=1.0, reason=None),
    Latency(
        arm="rag", question_id="q", batch=0, concurrency=1, seconds=0.1 + 0.2, retrieval_seconds=1e-9,
        n_prompt_tokens=5, n_answer_tokens=1, failure=None,
    ),
    Latency(
        arm="base", question_id="q", batch=3, concurrency=8, seconds=None, retrieval_seconds=None,
        n_prompt_tokens=5, n_answer_tokens=0, failure="too long",
    ),
    Guideline(question_id="q", text="names\nboth", source="person", failure=None),
    Judgement(
        arm="rag", tuning_seed=None, question_id="q", criterion="level of detail", judge="a/b", repeat=1,
        value=0.1 + 0.2, failure=None, probabilities=(1 / 3, 2 / 3), mass=1e-9,
    ),
    Judgement(
        arm="tuned", tuning_seed=1, question_id="q", criterion="correctness", judge="m", repeat=0, value=None,
        failure="no rating in the reply: 'x'", reason=None,
    ),
    Preference(question_id="q", judge="m", first="rag", second="base", choice=None, failure="429"),
)  # fmt: skip


def draft(key: str = "k") -> Draft:
    return Draft(key=key, stage="s", settings={}, inputs={}, content={}, summary={}, provenance={}, seconds=1.0)


def test_every_record_type_has_a_table_and_an_example_here() -> None:
    records = {kind for kind in vars(types).values() if isinstance(kind, type) and hasattr(kind, "__slots__")}
    assert {type(record) for record in RECORDS} == set(rows.TABLES) == records


@pytest.mark.parametrize("record_type", rows.TABLES)
def test_records_come_back_as_they_were_and_in_order(tmp_path: Path, record_type: type) -> None:
    with Store.open(tmp_path) as store:
        store.put(draft(), RECORDS)
        store.put(draft("other"), RECORDS[::-1])
    with Store.open(tmp_path) as store:
        found = store.read(record_type, "k")
        assert found == tuple(record for record in RECORDS if type(record) is record_type)
        assert store.read(record_type, "other") == found[::-1]
        assert store.read(record_type, "none") == ()


def test_numbers_keep_their_type() -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE results (key TEXT PRIMARY KEY)")
    for statement in rows.create_statements():
        db.execute(statement)
    rows.insert(db, "k", RECORDS)
    (block, _) = rows.select(db, Block, "k")
    assert (type(block.position), type(block.bbox[1]), type(block.section)) == (int, float, tuple)
    assert [type(score.value) for score in rows.select(db, Score, "k")] == [type(None), float]
    db.close()


def test_a_value_that_no_field_admits_is_not_read(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.put(draft(), RECORDS)
        store.connection.execute("UPDATE scores SET arm = 'nobody'")
        with pytest.raises(ValueError, match="nobody"):
            store.read(Score, "k")
