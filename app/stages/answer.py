"""answer: every arm answers every test question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.retrieved import contexts_of
from fourfold.app.stages.shots import choose_examples
from fourfold.arms import ArmPlan, adapter_names, arms_of
from fourfold.digest import digest_of
from fourfold.llm.port import Adapter, Completion, Refusal
from fourfold.prompts import answer_chat
from fourfold.retrieval.index import retrieve
from fourfold.types import Answer, Question, Retrieved, Split


def verdict_scope(context: Context) -> str:
    """What a verdict rule is frozen for: this study's name and its test questions."""
    return digest_of([context.study.name, context.questions("test")])


def _settings(context: Context) -> dict[str, Any]:
    study = context.study
    plans = arms_of(study)
    retrieval = study.retrieval.model_dump(mode="json") if any(plan.retrieves for plan in plans) else None
    shots = {"n": study.answer.n_shots, "seed": study.answer.shots_seed} if any(plan.shots for plan in plans) else None
    return {
        "arms": [plan.name for plan in plans],
        "instructions": study.answer.instructions,
        "max_tokens": study.answer.max_tokens,
        "shots": shots,
        "retrieval": retrieval,
        "model": context.model_identity,
    }


def answer_inputs(context: Context, split: Split = "test") -> dict[str, str]:
    """Digests of what the answers to one split's questions depend on."""
    inputs = {f"{split} questions": digest_of(context.questions(split)), "index": context.results["index"].digest}
    if any(plan.shots for plan in arms_of(context.study)):
        inputs["tuning questions"] = digest_of(context.questions("tuning"))
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
    }
    return Outcome(records=[*answers, *retrieved], content={}, summary=summary)


def answer_questions(context: Context, questions: Sequence[Question]) -> tuple[list[Answer], tuple[Retrieved, ...]]:
    """Every arm's answers to some questions, an arm with several adapters once with each; and what was retrieved."""
    study = context.study
    retrieved: tuple[Retrieved, ...] = ()
    if any(plan.retrieves for plan in arms_of(study)):
        retrieved = retrieve(
            context.index_folder,
            context.chunks,
            context.embedder,
            questions=[(question.question_id, question.question) for question in questions],
            settings=study.retrieval,
        )
    chunk_ids: dict[str, list[str]] = {}
    for row in retrieved:
        chunk_ids.setdefault(row.question_id, []).append(row.chunk_id)
    contexts = contexts_of(retrieved, context.chunks)
    answers: list[Answer] = []
    for plan in arms_of(study):
        adapters: Mapping[int, Adapter] = context.adapters(plan.adapter) if plan.adapter else {}
        for seed, adapter in adapters.items() or [(None, None)]:
            answers += _arm(context, plan, questions, contexts, chunk_ids, tuned=(seed, adapter))
    return answers, retrieved


def _arm(
    context: Context,
    plan: ArmPlan,
    questions: Sequence[Question],
    contexts: Mapping[str, Sequence[str]],
    chunk_ids: Mapping[str, Sequence[str]],
    *,
    tuned: tuple[int | None, Adapter | None],
) -> list[Answer]:
    study, (seed, adapter) = context.study, tuned
    examples = choose_examples(context) if plan.shots else ()
    pairs = [(example.question, example.reference) for example in examples]
    completions = context.generate(
        [
            answer_chat(
                study.answer.instructions, q.question, contexts[q.question_id] if plan.retrieves else None, pairs
            )
            for q in questions
        ],
        max_tokens=study.answer.max_tokens,
        label=f"arm {plan.name}" + (f", seed {seed}" if len(study.tuning.seeds) > 1 and seed is not None else ""),
        adapter=adapter,
    )
    return [
        _answer(
            plan,
            question.question_id,
            completion,
            seed=seed,
            shown=(
                tuple(chunk_ids[question.question_id]) if plan.retrieves else (),
                tuple(e.question_id for e in examples),
            ),
        )
        for question, completion in zip(questions, completions, strict=True)
    ]


def _answer(
    plan: ArmPlan,
    question_id: str,
    completion: Completion | Refusal,
    *,
    seed: int | None,
    shown: tuple[tuple[str, ...], tuple[str, ...]],
) -> Answer:
    done = completion if isinstance(completion, Completion) else None
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
        chunk_ids=shown[0],
        example_ids=shown[1],
        generation=done.key if done else None,
    )


STAGE = Stage(
    name="answer",
    version=2,
    settings=_settings,
    inputs=answer_inputs,
    run=_run,
    describe=lambda s: f"{s['n_answers']} answers by {len(s['arms'])} arms, {s['n_failed']} failed",
)
