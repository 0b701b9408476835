"""answer: every arm answers every test question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.retrieved import NOTHING_FOUND, find_passages, path_inputs
from fourfold.app.stages.shots import NO_SHOTS, shot_chooser
from fourfold.arms import ArmPlan, adapter_names, arms_of
from fourfold.digest import digest_of
from fourfold.llm.port import Adapter, Completion, Refusal
from fourfold.prompts import answer_chat, prompt_form
from fourfold.retrieval.context.citations import cited_numbers, not_shown, without_marks
from fourfold.retrieval.context.passage import texts_of
from fourfold.retrieval.modules.trace import RetrievalTrace
from fourfold.types import Answer, Question, Retrieved, Split


def verdict_scope(context: Context) -> str:
    """What a verdict rule is frozen for: this study's name and its test questions."""
    return digest_of([context.study.name, context.questions("test")])


def _settings(context: Context) -> dict[str, Any]:
    study = context.study
    plans = arms_of(study)
    retrieval = study.retrieval.model_dump(mode="json") if any(plan.retrieves for plan in plans) else None
    shots = None
    if any(plan.shots for plan in plans):
        shots = {"n": study.answer.n_shots, "seed": study.answer.shots_seed, "kind": study.answer.shots}
    return {
        "arms": [plan.name for plan in plans],
        "instructions": study.answer.instructions,
        "max_tokens": study.answer.max_tokens,
        "prompt": study.answer.model_dump(mode="json", include={"citations", "contexts"}),
        "shots": shots,
        "retrieval": retrieval,
        "model": context.model_identity,
    }


def answer_inputs(context: Context, split: Split = "test") -> dict[str, str]:
    """Digests of what the answers to one split's questions depend on."""
    inputs = {f"{split} questions": digest_of(context.questions(split)), "index": context.results["index"].digest}
    if any(plan.shots for plan in arms_of(context.study)):
        inputs["tuning questions"] = digest_of(context.questions("tuning"))
        if context.study.answer.shots == "contrastive":
            inputs["embedder"] = context.embedder_identity
    inputs |= path_inputs(context)
    return inputs | {name: context.results[name].digest for name in adapter_names(context.study)}


def _run(context: Context, _: Path | None) -> Outcome:
    study = context.study
    # Rule 9: margin and metric are fixed before the first answer is seen.
    context.store.freeze(verdict_scope(context), study.verdict.model_dump(mode="json"))
    answers, retrieved = answer_questions(context, context.questions("test"))
    summary = {
        "n_answers": len(answers),
        "n_failed": sum(answer.text is None for answer in answers),
        "arms": [plan.name for plan in arms_of(study)],
        "device": context.device,
        **_of_modules(answers),
        **_of_citations(answers),
    }
    return Outcome(records=[*answers, *retrieved], content={}, summary=summary)


def _of_modules(answers: Sequence[Answer]) -> dict[str, int]:
    """What the retrieval modules did, counted over questions; nothing where there are none."""
    ways = {answer.question_id: answer for answer in answers if answer.n_outside is not None}.values()
    if not ways:
        return {}
    return {
        "n_queries": sum(len(way.queries) for way in ways),
        "n_searched": sum(len(way.searched) for way in ways),
        "n_outside": sum(way.n_outside or 0 for way in ways),
        "n_dropped": sum(len(way.dropped) for way in ways),
        "n_nothing_found": sum(not way.chunk_ids for way in ways),
        "n_module_failures": sum(len(way.module_failures) for way in ways),
    }


def _of_citations(answers: Sequence[Answer]) -> dict[str, int]:
    """Answers that cite, and those that cite what was not shown; nothing where nobody asked for citations."""
    asked = [answer for answer in answers if answer.cited is not None]
    if not asked:
        return {}
    return {
        "n_citing": sum(bool(answer.cited) for answer in asked),
        "n_citing_not_shown": sum(bool(not_shown(answer.cited or (), len(answer.chunk_ids))) for answer in asked),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What the arms that retrieve are shown, by question id: texts, ids of chunks, and how modules came to them."""

    contexts: Mapping[str, Sequence[str]]
    chunk_ids: Mapping[str, Sequence[str]]
    traces: Mapping[str, RetrievalTrace]


def answer_questions(context: Context, questions: Sequence[Question]) -> tuple[list[Answer], tuple[Retrieved, ...]]:
    """Every arm's answers to some questions, an arm with several adapters once with each; and what was retrieved."""
    study = context.study
    retrieved: tuple[Retrieved, ...] = ()
    shown = _Shown(contexts={}, chunk_ids={}, traces={})
    if any(plan.retrieves for plan in arms_of(study)):
        found, passages = find_passages(context, [(question.question_id, question.question) for question in questions])
        retrieved = found.retrieved
        # In the prompt's order, which citations count by.
        chunk_ids = {name: [one.chunk.chunk_id for one in own] for name, own in passages.items()}
        contexts = texts_of(passages, if_none=NOTHING_FOUND)
        traces = {trace.question_id: trace for trace in found.traces}
        shown = _Shown(contexts=contexts, chunk_ids=chunk_ids, traces=traces)
    answers: list[Answer] = []
    for plan in arms_of(study):
        adapters: Mapping[int, Adapter] = context.adapters(plan.adapter) if plan.adapter else {}
        for seed, adapter in adapters.items() or [(None, None)]:
            answers += _arm(context, plan, questions, shown, tuned=(seed, adapter))
    return answers, retrieved


def _arm(
    context: Context,
    plan: ArmPlan,
    questions: Sequence[Question],
    shown: _Shown,
    *,
    tuned: tuple[int | None, Adapter | None],
) -> list[Answer]:
    study, (seed, adapter) = context.study, tuned
    shots = shot_chooser(context).choose(questions) if plan.shots else [NO_SHOTS] * len(questions)
    completions = context.generate(
        [
            answer_chat(
                study.answer.instructions,
                q.question,
                shown.contexts[q.question_id] if plan.retrieves else None,
                own.examples,
                contrasts=own.contrasts,
                form=prompt_form(study.answer),
            )
            for q, own in zip(questions, shots, strict=True)
        ],
        max_tokens=study.answer.max_tokens,
        label=f"arm {plan.name}" + (f", seed {seed}" if len(study.tuning.seeds) > 1 and seed is not None else ""),
        adapter=adapter,
    )
    answers = [
        _answer(plan, question.question_id, completion, seed=seed, example_ids=own.ids, shown=shown)
        for question, completion, own in zip(questions, completions, shots, strict=True)
    ]
    return [_with_citations(answer) for answer in answers] if study.answer.citations and plan.retrieves else answers


def _answer(
    plan: ArmPlan,
    question_id: str,
    completion: Completion | Refusal,
    *,
    seed: int | None,
    example_ids: tuple[str, ...],
    shown: _Shown,
) -> Answer:
    done = completion if isinstance(completion, Completion) else None
    trace = shown.traces.get(question_id) if plan.retrieves else None
    return Answer(
        arm=plan.name,
        tuning_seed=seed,
        question_id=question_id,
        text=done.text if done else None,
        failure=completion.reason if isinstance(completion, Refusal) else None,
        n_prompt_tokens=done.n_prompt_tokens if done else 0,
        n_answer_tokens=done.n_answer_tokens if done else 0,
        mean_logprob=done.mean_logprob if done else None,
        finish_reason=done.finish_reason if done else None,
        chunk_ids=tuple(shown.chunk_ids[question_id]) if plan.retrieves else (),
        example_ids=example_ids,
        generation=done.key if done else None,
        queries=trace.queries if trace else (),
        searched=trace.searched if trace else (),
        n_outside=trace.n_outside if trace else None,
        remembered=trace.remembered if trace else (),
        dropped=trace.dropped if trace else (),
        module_failures=trace.failures if trace else (),
        n_module_tokens=trace.n_tokens if trace else None,
    )


def _with_citations(answer: Answer) -> Answer:
    """The answer with what it cites beside its text; as it was written it stands under `generation`."""
    if answer.text is None:
        return answer
    return replace(answer, text=without_marks(answer.text), cited=cited_numbers(answer.text))


STAGE = Stage(
    name="answer",
    version=2,
    settings=_settings,
    inputs=answer_inputs,
    run=_run,
    describe=lambda s: f"{s['n_answers']} answers by {len(s['arms'])} arms, {s['n_failed']} failed",
)
