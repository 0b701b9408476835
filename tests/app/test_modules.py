"""The retrieval modules in a whole study on a tiny model."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.scripted import ScriptedContext, run_scripted

from fourfold.app.progress import Reporter
from fourfold.app.stages.retrieved import NOTHING_FOUND, find_contexts, open_path
from fourfold.errors import FairnessError, StudyError
from fourfold.retrieval.index import retrieve
from fourfold.retrieval.modules.knowledge_filter import Judgement, Pair
from fourfold.store import Result, Store
from fourfold.study_file import load_study
from fourfold.types import Answer, Chunk, Latency, Retrieved

if TYPE_CHECKING:
    from app.conftest import Finished

QUICK = ("answer.arms=[base, rag, rag n-shot]", "score.metrics=[key_fact_recall]")
ALL_ON = (
    *QUICK,
    "retrieval.rewriter={max_tokens: 16}",
    "retrieval.knowledge_filter={engine: logprobs, candidates: 4, max_lost: 0.2}",
    "retrieval.memory={trigger: {tau: 0.5, theta: 1}}",
)


def stored(runs: Path) -> tuple[dict[str, Result], tuple[Answer, ...]]:
    """The last run's results by stage, and its answers."""
    with Store.open(runs) as store:
        (last,) = store.connection.execute("SELECT results FROM runs ORDER BY run DESC LIMIT 1").fetchone()
        found = {stage: store.find(key) for stage, key in json.loads(last).items()}
        results = {stage: result for stage, result in found.items() if result is not None}
        return results, store.read(Answer, results["answer"].key)


@pytest.fixture(scope="module")
def modular(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study's folder, carried out once more with every module on."""
    runs = shutil.copytree(finished.runs, tmp_path_factory.mktemp("modules") / "runs")
    run_scripted(finished.study, runs, overrides=ALL_ON)
    return runs


def test_without_modules_there_is_no_such_stage_and_the_rows_are_the_retrievers(finished: Finished) -> None:
    results, answers = stored(finished.runs)
    assert not results.keys() & {"rewriter", "filter", "memory", "modules"}
    assert {(a.queries, a.searched, a.n_outside, a.remembered, a.dropped, a.module_failures) for a in answers} == {
        ((), (), None, (), (), ())
    }
    study = load_study(finished.study)
    with Store.open(finished.runs) as store:
        context = ScriptedContext(study=study, store=store, reporter=Reporter(quiet=True), cache=finished.runs / "c")
        context.results |= results
        asked = [(question.question_id, question.question) for question in context.questions("test")]
        expected = retrieve(
            context.index_folder, context.chunks, context.embedder, questions=asked, settings=study.retrieval
        )
        assert store.read(Retrieved, results["answer"].key) == expected
        found, contexts = find_contexts(context, asked)
        assert (found.retrieved, found.traces) == (expected, ())
        texts = {chunk.chunk_id: chunk.text for chunk in context.chunks}
        for question_id, shown in contexts.items():
            assert shown == [texts[row.chunk_id] for row in expected if row.question_id == question_id]


def test_every_module_leaves_what_it_did_with_the_answers(modular: Path) -> None:
    results, answers = stored(modular)
    reading = [answer for answer in answers if answer.arm != "base"]
    assert {answer.n_outside is None for answer in answers if answer.arm == "base"} == {True}
    # A random model writes no question with queries: each question is searched as it stands, and says so.
    assert all(answer.module_failures[0].startswith("rewriter: the reply holds no question") for answer in reading)
    assert all(len(answer.queries) == 1 for answer in reading)
    assert all(answer.n_module_tokens for answer in reading)
    # What a question met on its way is the same for every arm (rule 4).
    ways = {(a.question_id, a.chunk_ids, a.searched, a.remembered, a.dropped, a.module_failures) for a in reading}
    assert len(ways) == len({answer.question_id for answer in reading})
    summary = results["answer"].summary
    one_arm = [answer for answer in reading if answer.arm == "rag"]
    assert summary["n_outside"] == sum(answer.n_outside or 0 for answer in one_arm)
    assert summary["n_dropped"] == sum(len(answer.dropped) for answer in one_arm)
    assert summary["n_module_failures"] >= len(one_arm)


def test_memory_is_filled_from_tuning_questions_and_frozen_before_the_test(modular: Path) -> None:
    results, _ = stored(modular)
    with Store.open(modular) as store:
        file = store.blob_folder("memory", results["memory"].key) / "memory.db"
        chunks = {chunk.chunk_id for chunk in store.read(Chunk, results["index"].key)}
    with sqlite3.connect(file) as db:
        held = db.execute("SELECT chunk_id, title, source FROM knowledge").fetchall()
        (frozen,) = db.execute("SELECT value FROM meta WHERE key = 'frozen'").fetchone()
    db.close()
    assert frozen == results["memory"].summary["content"]["memory"]
    assert {chunk_id for chunk_id, _, _ in held} <= chunks
    assert {source for _, _, source in held} <= {"north.pdf", "south.pdf"}
    assert all(" › " in title for _, title, _ in held)
    assert len(held) == results["memory"].summary["n_passages"] > 0


def test_a_second_run_does_nothing_and_a_module_taken_out_keeps_the_others(modular: Path, finished: Finished) -> None:
    assert run_scripted(finished.study, modular, overrides=ALL_ON).n_stages_run == 0
    without = [override for override in ALL_ON if "memory" not in override]
    before, _ = stored(modular)
    assert run_scripted(finished.study, modular, overrides=without).n_stages_run > 0
    after, answers = stored(modular)
    assert before["filter"] == after["filter"]
    assert before["answer"].key != after["answer"].key
    assert "memory" not in after
    assert {answer.remembered for answer in answers} == {()}


def test_a_memory_changed_after_the_freeze_stops_the_study(modular: Path, finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(modular, tmp_path / "runs")
    for file in (runs / "blobs").glob("memory-*/memory.db"):
        with sqlite3.connect(file) as db:
            db.execute("UPDATE knowledge SET text = 'The answer is 42.'")
        db.close()
    with pytest.raises(FairnessError, match="not the one that was frozen"):
        run_scripted(finished.study, runs, overrides=[*ALL_ON, "answer.max_tokens=5"])


def test_the_latency_pass_goes_the_same_way(modular: Path, finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(modular, tmp_path / "runs")
    run_scripted(finished.study, runs, overrides=[*ALL_ON, "latency.enabled=true", "latency.concurrency=4"])
    results, answers = stored(runs)
    with Store.open(runs) as store:
        rows = store.read(Latency, results["latency"].key)
    expected = {(answer.arm, answer.question_id): answer.n_prompt_tokens for answer in answers}
    alone = [row for row in rows if row.concurrency == 1]
    assert {row.n_prompt_tokens - expected[row.arm, row.question_id] for row in alone} == {0}
    assert len(alone) == len(expected)


class DropsAll:
    def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        return [Judgement(entailed=False, score=0.0) for _ in pairs]


def test_a_filter_that_drops_everything_is_told_in_the_prompt_and_counted(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fourfold.app.stages.retrieved._judge", lambda *_, **__: DropsAll())
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    on = "retrieval.knowledge_filter={engine: prompted, candidates: 4}"
    run_scripted(finished.study, runs, overrides=[*QUICK, on])
    results, answers = stored(runs)
    reading = [answer for answer in answers if answer.arm == "rag"]
    assert {(answer.chunk_ids, len(answer.dropped)) for answer in reading} == {((), 4)}
    assert results["answer"].summary["n_nothing_found"] == len(reading)
    assert all(answer.text is not None for answer in reading)
    study = load_study(finished.study, [on])
    with Store.open(runs) as store:
        context = ScriptedContext(study=study, store=store, reporter=Reporter(quiet=True), cache=runs / "c")
        context.results |= results
        _, contexts = find_contexts(context, [("q", "What?")])
    assert contexts == {"q": [NOTHING_FOUND]}


def test_a_question_that_memory_answers_is_not_searched(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    # Every title is alike to every question, and one is enough.
    run_scripted(finished.study, runs, overrides=[*QUICK, "retrieval.memory={trigger: {tau: -1, theta: 1}}"])
    results, answers = stored(runs)
    reading = [answer for answer in answers if answer.arm == "rag"]
    assert {(answer.searched, answer.n_outside) for answer in reading} == {((), 0)}
    assert all(set(answer.chunk_ids) <= set(answer.remembered) and answer.chunk_ids for answer in reading)
    assert (results["answer"].summary["n_searched"], results["answer"].summary["n_outside"]) == (0, 0)


def test_the_trigger_is_calibrated_on_tuning_questions(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    on = "retrieval.memory={trigger: {max_recall_loss: 0.1}}"
    run_scripted(finished.study, runs, overrides=[*QUICK, on])
    results, _ = stored(runs)
    memory = results["memory"].summary
    curve = memory["curve"]
    assert curve["n_questions"] == memory["n_questions"] // 2
    assert (memory["content"]["tau"], memory["content"]["theta"]) == (curve["chosen"]["tau"], curve["chosen"]["theta"])
    assert curve["chosen"]["recall"] >= curve["always_recall"] - 0.1


def test_a_cross_encoder_is_trained_for_the_study_and_calibrated_on_questions_kept_from_it(
    finished: Finished, tmp_path: Path
) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    on = "retrieval.knowledge_filter={engine: cross-encoder, candidates: 3, epochs: 1, max_lost: 0.5}"
    run_scripted(finished.study, runs, overrides=[*QUICK, on])
    results, answers = stored(runs)
    trained = results["filter"].summary
    assert trained["n_trained"] > trained["n_pairs"] > 0
    assert trained["content"]["threshold"] == trained["curve"]["chosen"]["threshold"]
    assert any(answer.dropped for answer in answers if answer.arm == "rag")


def test_a_rewriter_is_tuned_on_queries_that_find_their_gold(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    on = "retrieval.rewriter={max_tokens: 16, tuned: {epochs: 1, cutoff_tokens: 600}}"
    run_scripted(finished.study, runs, overrides=[*QUICK, on])
    results, answers = stored(runs)
    assert results["rewriter"].summary["n_rows"] > 0
    assert all(answer.module_failures for answer in answers if answer.arm == "rag")


def test_a_path_refuses_more_chunks_than_there_are(finished: Finished) -> None:
    study = load_study(finished.study, ["retrieval.k=999", "retrieval.candidates=999"])
    results, _ = stored(finished.runs)
    with Store.open(finished.runs) as store:
        context = ScriptedContext(study=study, store=store, reporter=Reporter(quiet=True), cache=finished.runs / "c")
        context.results |= results
        with pytest.raises(StudyError, match="larger than the corpus"), open_path(context):
            pass
