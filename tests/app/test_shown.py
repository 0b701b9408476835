"""What a prompt shows, cites and takes for examples, in a whole study on a tiny model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.scripted import ScriptedContext, ScriptedEngine, run_scripted

from fourfold.app.progress import Reporter
from fourfold.app.stages.retrieved import find_passages
from fourfold.app.stages.tune import build_own_set
from fourfold.errors import StudyError
from fourfold.llm.port import Adapter, Prompt, RawCompletion, Sampling
from fourfold.prompts import CITE
from fourfold.retrieval.context.citations import cited_numbers
from fourfold.store import Result, Store
from fourfold.study_file import load_study
from fourfold.types import Answer, Latency, Question, Retrieved

if TYPE_CHECKING:
    from app.conftest import Finished

ON = (
    "answer.arms=[base, rag, rag n-shot, tuned + rag]",
    "score.metrics=[key_fact_recall]",
    "answer.citations=true",
    "answer.contexts=after_question",
    "answer.shots=contrastive",
    "answer.n_shots=2",
    "retrieval.scope=named_document",
    "retrieval.section_tokens=120",
    "retrieval.focus_sentences=3",
    "retrieval.context_tokens=160",
    "retrieval.order=best_last",
    "latency.enabled=true",
    "latency.concurrency=4",
)


def results_of(runs: Path) -> dict[str, Result]:
    with Store.open(runs) as store:
        (last,) = store.connection.execute("SELECT results FROM runs ORDER BY run DESC LIMIT 1").fetchone()
        found = {stage: store.find(key) for stage, key in json.loads(last).items()}
    return {stage: result for stage, result in found.items() if result is not None}


class Cites(ScriptedEngine):
    """Answers what is asked with passages by citing one that was shown and one that was not."""

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, adapter: Adapter | None) -> list[RawCompletion]:
        asked = [CITE in self.tokenizer.decode(list(prompt.token_ids or ())) for prompt in prompts]
        found = super().complete(prompts, sampling, adapter)
        return [
            self._as_completion("every 4 hours [1, 9]", prompt.n_tokens or 0) if cites else one
            for cites, prompt, one in zip(asked, prompts, found, strict=True)
        ]


@pytest.fixture(scope="module")
def shown(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study's folder, carried out once more with every setting on."""
    runs = shutil.copytree(finished.runs, tmp_path_factory.mktemp("shown") / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("support.scripted.ScriptedEngine", Cites)
        run_scripted(finished.study, runs, overrides=ON)
    return runs


def test_citations_are_recorded_with_those_of_passages_that_were_not_shown(shown: Path) -> None:
    results = results_of(shown)
    with Store.open(shown) as store:
        answers = store.read(Answer, results["answer"].key)
    reading = [answer for answer in answers if answer.arm != "base"]
    assert {(answer.cited, answer.text) for answer in reading} == {((1, 9), "every 4 hours")}
    assert {answer.cited for answer in answers if answer.arm == "base"} == {None}
    summary = results["answer"].summary
    assert summary["n_citing"] == summary["n_citing_not_shown"] == len(reading)


def test_chunks_are_recorded_in_the_order_shown_and_retrieval_is_scored_as_found(
    shown: Path, finished: Finished
) -> None:
    results = results_of(shown)
    with Store.open(shown) as store:
        context = ScriptedContext(
            study=load_study(finished.study, ON), store=store, reporter=Reporter(quiet=True), cache=shown / "c"
        )
        context.results |= results
        answers = store.read(Answer, results["answer"].key)
        stored = store.read(Retrieved, results["answer"].key)
        questions = [(question.question_id, question.question) for question in context.questions("test")]
        found, passages = find_passages(context, questions)
        limit = context.count_tokens()
    assert found.retrieved == stored
    for answer in answers:
        if answer.arm != "base":
            assert answer.chunk_ids == tuple(one.chunk.chunk_id for one in passages[answer.question_id])
    assert all(0 < sum(limit([one.text for one in own])) <= 160 for own in passages.values())


def test_the_latency_pass_asks_the_same_prompts(shown: Path) -> None:
    results = results_of(shown)
    with Store.open(shown) as store:
        expected = {(a.arm, a.question_id): a.n_prompt_tokens for a in store.read(Answer, results["answer"].key)}
        rows = [row for row in store.read(Latency, results["latency"].key) if row.concurrency == 1]
    assert {row.n_prompt_tokens - expected[row.arm, row.question_id] for row in rows} == {0}
    assert len(rows) == len(expected)


def test_contrastive_examples_are_tuning_questions_of_each_questions_own(shown: Path) -> None:
    results = results_of(shown)
    with Store.open(shown) as store:
        answers = store.read(Answer, results["answer"].key)
        tuning = {q.question_id for q in store.read(Question, results["questions"].key) if q.split == "tuning"}
    own = {answer.example_ids for answer in answers if answer.arm == "rag n-shot"}
    assert len(own) > 1
    assert {len(ids) for ids in own} == {2}
    assert {name for ids in own for name in ids} <= tuning
    assert {answer.example_ids for answer in answers if answer.arm == "rag"} == {()}


def test_a_budget_under_a_chunk_stops_the_study_before_it_answers(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with pytest.raises(StudyError, match="no room for a whole passage"):
        run_scripted(finished.study, runs, overrides=["answer.arms=[rag]", "retrieval.context_tokens=5"])


def test_with_contexts_a_citation_of_the_gold_is_learnt_and_without_them_none(shown: Path, finished: Finished) -> None:
    with Store.open(shown) as store:
        context = ScriptedContext(
            study=load_study(finished.study, ON), store=store, reporter=Reporter(quiet=True), cache=shown / "c"
        )
        context.results |= results_of(shown)
        built, _ = build_own_set(context, "mixture", 0)
        learnt = [(row.form, context.student.tokenizer.decode(row.answer_ids)) for row in built.data.rows]
    assert not [answer for form, answer in learnt if form == "without contexts" and cited_numbers(answer)]
    assert any(cited_numbers(answer) for form, answer in learnt if form == "with contexts")
