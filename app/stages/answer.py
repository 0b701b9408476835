"""answer: every arm answers every test question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.retrieved import contexts_of
from fourfold.digest import digest_of
from fourfold.llm.port import Completion, Refusal
from fourfold.prompts import answer_chat
from fourfold.retrieval.index import retrieve
from fourfold.types import Answer, Arm, Question, Retrieved


def verdict_scope(context: Context) -> str:
    """What a verdict rule is frozen for: this study's name and its test questions."""
    return digest_of([context.study.name, context.questions("test")])


def _settings(context: Context) -> dict[str, Any]:
    study = context.study
    retrieval = study.retrieval.model_dump(mode="json") if any("rag" in arm for arm in study.answer.arms) else None
    return {
        "answer": study.answer.model_dump(mode="json"), "retrieval": retrieval, "model": context.model_identity
    }  # fmt: skip


def _inputs(context: Context) -> dict[str, str]:
    inputs = {"test questions": digest_of(context.questions("test")), "index": context.results["index"].digest}
    if "tune" in context.results:
        inputs["tune"] = context.results["tune"].digest
    return inputs


def _run(context: Context, _: Path | None) -> Outcome:
    study = context.study
    questions = context.questions("test")
    # Rule 9: margin and metric are fixed before the first answer is seen.
    context.store.freeze(verdict_scope(context), study.verdict.model_dump(mode="json"))
    retrieved: tuple[Retrieved, ...] = ()
    if any("rag" in arm for arm in study.answer.arms):
        retrieved = retrieve(
            context.index_folder,
            context.chunks,
            context.embedder,
            questions=[(question.question_id, question.question) for question in questions],
            settings=study.retrieval,
        )
    contexts = contexts_of(retrieved, context.chunks)
    chunk_ids: dict[str, list[str]] = {}
    for row in retrieved:
        chunk_ids.setdefault(row.question_id, []).append(row.chunk_id)
    answers: list[Answer] = []
    for arm in study.answer.arms:
        with_contexts = "rag" in arm
        completions = context.generate(
            [
                answer_chat(study.answer.instructions, q.question, contexts[q.question_id] if with_contexts else None)
                for q in questions
            ],
            max_tokens=study.answer.max_tokens,
            label=f"arm {arm}",
            adapter=context.adapter if arm.startswith("tuned") else None,
        )
        answers += _answers(arm, questions, completions, chunk_ids if with_contexts else {})
    n_failed = sum(answer.text is None for answer in answers)
    summary = {
        "n_answers": len(answers), "n_failed": n_failed, "arms": list(study.answer.arms), "device": context.device
    }  # fmt: skip
    return Outcome(records=[*answers, *retrieved], content={}, summary=summary)


def _answers(
    arm: Arm,
    questions: Sequence[Question],
    completions: Sequence[Completion | Refusal],
    chunk_ids: Mapping[str, Sequence[str]],
) -> list[Answer]:
    return [
        _answer(arm, question.question_id, completion, tuple(chunk_ids.get(question.question_id, ())))
        for question, completion in zip(questions, completions, strict=True)
    ]


def _answer(arm: Arm, question_id: str, completion: Completion | Refusal, chunk_ids: tuple[str, ...]) -> Answer:
    done = completion if isinstance(completion, Completion) else None
    return Answer(
        arm=arm,
        question_id=question_id,
        text=done.text if done else None,
        failure=completion.reason if isinstance(completion, Refusal) else None,
        n_prompt_tokens=done.n_prompt_tokens if done else 0,
        n_answer_tokens=len(done.token_ids) if done else 0,
        mean_logprob=done.mean_logprob if done else None,
        finish_reason=done.finish_reason if done else None,
        chunk_ids=chunk_ids,
        generation=done.key if done else None,
    )


STAGE = Stage(
    name="answer",
    version=1,
    settings=_settings,
    inputs=_inputs,
    run=_run,
    describe=lambda s: f"{s['n_answers']} answers by {len(s['arms'])} arms, {s['n_failed']} failed",
)
