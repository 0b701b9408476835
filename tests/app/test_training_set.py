"""What of a study's settings an adapter is trained on, and which of them make another adapter."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.scripted import ScriptedContext, run_scripted

from fourfold.app.dry_run import dry_run, look, render_dry_run
from fourfold.app.grid import load_points
from fourfold.app.pipeline import expand, run_stages
from fourfold.app.progress import Reporter
from fourfold.app.stages import STAGES, tune
from fourfold.arms import AdapterKind
from fourfold.errors import QuestionError, StudyError
from fourfold.llm.port import Chat, Completion
from fourfold.store import Store
from fourfold.study_file import load_study
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.train import TrainingSet


@pytest.fixture
def context(finished: Any, tmp_path: Path) -> Any:
    """A context on a copy of the finished study's store, up to the index; `open(*overrides)` gives one."""
    import shutil

    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    stores: list[Store] = []

    def make(*overrides: str) -> ScriptedContext:
        stores.append(Store.open(runs))
        made = ScriptedContext(
            study=load_study(finished.study, overrides),
            store=stores[-1].__enter__(),
            reporter=Reporter(quiet=True),
            cache=runs / "cache",
        )
        names = [stage.name for stage in STAGES]
        run_stages(made, STAGES[: names.index("tune")])
        return made

    yield make
    for store in stores:
        store.__exit__(None, None, None)


def built(context: ScriptedContext, kind: AdapterKind = "mixture") -> tuple[TrainingSet, dict[str, Any]]:
    made, _ = tune.build_own_set(context, kind, 0)
    return made.data, dict(made.summary)


def texts(context: ScriptedContext, rows: Sequence[TuningRow]) -> list[str]:
    return [context.student.tokenizer.decode(row.answer_ids[:-1]) for row in rows]


def settings_of(context: ScriptedContext) -> dict[str, Any]:
    (stage,) = [stage for stage in expand(context, [tune.STAGE]) if stage.name == "tune"]
    return json.loads(json.dumps(dict(stage.settings(context))))


@pytest.mark.parametrize(
    "override",
    [
        "tuning.method=qlora",
        "tuning.raft_gold_share=0.5",
        "tuning.cit_alpha=1",
        "tuning.dpo_beta=0.5",
        "tuning.evaluate_steps=9",
        "tuning.checkpoint_steps=9",
        "answer.max_tokens=9",
    ],
)
def test_a_setting_that_does_not_matter_makes_no_other_adapter(context: Any, override: str) -> None:
    assert settings_of(context(override)) == settings_of(context())


@pytest.mark.parametrize(
    "overrides",
    [
        ["tuning.method=dora"],
        ["tuning.rank=8"],
        ["tuning.form=raft"],
        ["tuning.objective=cit"],
        ["tuning.selection=s3ft"],
        ["tuning.size=0.5"],
        ["tuning.checkpoint=best"],
        ["tuning.attention=segment"],
    ],
)
def test_one_that_matters_does(context: Any, overrides: list[str]) -> None:
    assert settings_of(context(*overrides)) != settings_of(context())


def test_cit_without_weight_is_plain_tuning(context: Any) -> None:
    assert settings_of(context("tuning.objective=cit", "tuning.cit_alpha=0")) == settings_of(context())


def test_the_curve_over_sizes_takes_nested_questions(context: Any) -> None:
    sets = {size: {row.question_id for row in built(context(f"tuning.size={size}"))[0].rows} for size in (0.5, 1, 3)}
    assert sets[3] < sets[0.5] < sets[1]
    assert {size: len(ids) for size, ids in sets.items()} == {3: 3, 0.5: 6, 1: 12}


@pytest.mark.parametrize(
    ("line", "n_points"),
    [
        (["tuning.objective=sft,cit", "tuning.form=with_context,raft"], 4),
        (["tuning.size=0.25,0.5,1"], 3),
        (["tuning.objective=cit", "tuning.cit_alpha=0,0.03,0.1,0.3,1"], 5),
        (["tuning.method=lora,dora,rslora"], 3),
    ],
)
def test_methods_objectives_and_sizes_are_one_line_of_a_sweep(finished: Any, line: list[str], n_points: int) -> None:
    points, problems = load_points(finished.study, line)
    assert problems == []
    assert len(points) == n_points


def test_raft_rows_quote_a_passage_that_they_show(context: Any) -> None:
    made = context("tuning.form=raft", "tuning.raft_gold_share=1")
    rows = built(made)[0].rows
    assert {row.form for row in rows} == {"with contexts"}
    for row, answer in zip(rows, texts(made, rows), strict=True):
        quote = answer.partition('says: "')[2].partition('" So:')[0]
        assert len(quote) > 20
        assert quote in made.student.tokenizer.decode(row.prompt_ids)


def test_general_instructions_make_up_their_share(context: Any, finished: Any) -> None:
    file = finished.study.parent / "general.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Name {n}.", "answer": str(n)}) + "\n" for n in range(20)))
    made = context(f"tuning.general={{file: {file}, share: 0.2}}")
    data, summary = built(made)
    assert summary["n_general"] == 6
    assert len(data.rows) == 24 + 6
    general = [row for row in data.rows if row.form == "general"]
    assert "Answer the question" not in made.student.tokenizer.decode(general[0].prompt_ids)
    before = settings_of(made)
    file.write_text(file.read_text() + json.dumps({"prompt": "a", "answer": "b"}) + "\n")
    assert settings_of(made) != before
    file.unlink()
    with pytest.raises(QuestionError, match="general instructions cannot be read"):
        settings_of(made)


def test_cit_rows_know_where_their_documents_stand(context: Any) -> None:
    data, _ = built(context("tuning.objective=cit"))
    assert {len(row.document_spans) for row in data.rows if row.form == "with contexts"} == {2}


def test_followed_documents_are_gold_shown_or_unseen(context: Any) -> None:
    probes = built(context("tuning.size=2", "tuning.form=closed_book"))[0].probes
    kinds = [probe.kind for probe in probes]
    assert kinds.count("gold") >= 1
    assert kinds.count("unseen") == 4
    assert "distractor" not in kinds  # a closed-book prompt shows nothing
    assert len({probe.shown.key for probe in probes}) == len(probes)


def test_validation_questions_are_looked_at_only_where_they_choose(context: Any) -> None:
    assert built(context())[0].validation == ()
    validation = built(context("tuning.checkpoint=best"))[0].validation
    assert len(validation) == 2 * 2
    assert not {row.question_id for row in validation} & {row.question_id for row in built(context())[0].rows}


def answering(context: ScriptedContext, answer: Callable[[Chat], str]) -> list[Chat]:
    """Lets the base answer by a rule, which a random model cannot; gives the chats that it is asked."""
    asked: list[Chat] = []

    def generate(chats: Sequence[Chat], **_: object) -> list[Completion]:
        asked.extend(chats)
        return [
            Completion(key="k", text=answer(chat), token_ids=None, n_prompt_tokens=1, n_answer_tokens=1,
                       mean_logprob=None, finish_reason="stop", seconds=0.0)
            for chat in chats
        ]  # fmt: skip

    context.generate = generate  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize(("source", "n_passages"), [("distractor", 1), ("memory", 0)])
def test_what_is_rejected_is_the_bases_own_wrong_answer(context: Any, source: str, n_passages: int) -> None:
    made = context("tuning.objective=dpo", f"tuning.dpo_rejected={source}")
    first = made.questions("tuning")[0]
    asked = answering(made, lambda chat: first.reference if first.question in chat[-1].content else "no idea")
    data, summary = built(made)
    assert {chat[-1].content.count("[1]") for chat in asked} == {n_passages}
    for question, chat in zip(made.questions("tuning"), asked, strict=True):
        assert question.quote not in chat[-1].content
    assert {row.question_id for row in data.rows} == set(data.rejected)
    assert first.question_id not in data.rejected  # it was answered right
    assert summary["n_without_pair"] == 1
    assert {made.student.tokenizer.decode(ids) for ids in data.rejected.values()} == {"no idea<|im_end|>"}


@pytest.mark.parametrize("selection", ["s3ft", "grape"])
def test_a_correct_own_answer_can_be_learnt(context: Any, selection: str) -> None:
    made = context(f"tuning.selection={selection}", "tuning.form=closed_book")
    first = made.questions("tuning")[0]
    answering(made, lambda chat: f"It is {first.reference}" if first.question in chat[-1].content else "no idea")
    data, _ = built(made)
    learnt = texts(made, data.rows)
    assert learnt[0] in {first.reference, f"It is {first.reference}"}
    assert selection == "grape" or learnt[0] == f"It is {first.reference}"
    assert learnt[1:] == [question.reference for question in made.questions("tuning")[1:]]


def test_a_dry_run_shows_each_form_and_trains_nothing(context: Any) -> None:
    made = context("answer.max_tokens=100")
    done = look(made)
    assert [example.form for example in done.examples] == ["without contexts", "with contexts"]
    assert done.faults == []
    shown = render_dry_run(done)
    assert shown.count("⟦") == 2 + 2
    assert "24 rows" in shown
    assert "tune" not in made.results


def test_a_dry_run_tells_answers_that_would_be_cut_off(context: Any) -> None:
    (fault,) = look(context("answer.max_tokens=3")).faults
    assert "answers that would be cut off" in str(fault)


def test_a_dry_run_of_a_study_without_adapters_says_so(finished: Any, tmp_path: Path) -> None:
    study = load_study(finished.study, ["answer.arms=[base, rag]"])
    with pytest.raises(StudyError, match="the study tunes nothing"):
        dry_run(study, tmp_path, cache=tmp_path, reporter=Reporter(quiet=True))


@pytest.mark.parametrize(
    "overrides",
    [
        ["tuning.form=raft", "tuning.objective=cit"],
        ["tuning.checkpoint=best", "tuning.evaluate_steps=1", "tuning.method=rslora", "tuning.attention=segment"],
    ],
)
def test_a_study_runs_to_its_report_with_other_training(finished: Any, tmp_path: Path, overrides: list[str]) -> None:
    done = run_scripted(finished.study, tmp_path / "runs", overrides=["answer.arms=[base, tuned]", *overrides])
    assert done.report is not None
    with Store.open(tmp_path / "runs") as store:
        (text,) = store.connection.execute("SELECT summary FROM results WHERE stage = 'tune'").fetchone()
    summary = json.loads(text)
    assert [drift["epoch"] for drift in summary["drift"]] == [1]
    assert (summary["best_step"] is None) == ("tuning.checkpoint=best" not in overrides)
    # Every prompt begins with the instructions.
    assert summary["saved_share"] is None or summary["saved_share"] > 0.1
    assert (summary["saved_share"] is None) == ("tuning.attention=segment" not in overrides)
