"""latency: how long each arm takes, asked anew with nothing cached, in a pass of its own (fairness rule 7).

First one request at a time, as one person waits; then several at once, as a server is paid for. Only the second is
what cost by machine hour rests on. For every question (or group of them) the arms come in a drawn order, so that a
machine that slows down while it works slows all of them alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.module_models import complete_fresh
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.retrieved import NOTHING_FOUND, assembly_of, open_path, path_inputs
from fourfold.app.stages.shots import NO_SHOTS, ShotChooser, shot_chooser
from fourfold.app.vector_server import address_of
from fourfold.arms import ArmPlan, arms_of
from fourfold.llm.port import Adapter, Prompt, RawCompletion, Refusal
from fourfold.prompts import answer_chat, prompt_form
from fourfold.retrieval.context.assembly import Assembly
from fourfold.retrieval.context.passage import texts_of
from fourfold.retrieval.modules.pipeline import RetrievalPath
from fourfold.types import Arm, Latency, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """What stands ready before the clock starts: models, open path, what makes passages, shots, adapters by arm."""

    context: Context
    path: RetrievalPath | None
    assembly: Assembly | None
    shots: ShotChooser | None
    adapters: Mapping[Arm, Adapter]

    def ask(self, plan: ArmPlan, questions: Sequence[Question], batch: int) -> list[Latency]:
        """Time one arm on requests that come together."""
        started = time.perf_counter()
        contexts = self._retrieve(questions) if plan.retrieves else {}
        retrieved = time.perf_counter()
        prompts = self._prompts(plan, questions, contexts)
        answers = self._complete(plan, prompts)
        ended = time.perf_counter()
        rows = []
        for question, prompt, answer in zip(questions, prompts, answers, strict=True):
            row = Latency(
                arm=plan.name,
                question_id=question.question_id,
                batch=batch,
                concurrency=len(questions),
                seconds=None,
                retrieval_seconds=(retrieved - started) / len(questions) if plan.retrieves else None,
                n_prompt_tokens=prompt.n_tokens or 0,
                n_answer_tokens=0,
                failure=answer.reason if isinstance(answer, Refusal) else None,
            )
            if isinstance(answer, RawCompletion):
                share = 1 / sum(isinstance(answer, RawCompletion) for answer in answers)
                row = replace(
                    row,
                    seconds=(ended - started) * share,
                    n_prompt_tokens=answer.n_prompt_tokens,
                    n_answer_tokens=answer.n_answer_tokens,
                )
            rows.append(row)
        return rows

    def _retrieve(self, questions: Sequence[Question]) -> Mapping[str, Sequence[str]]:
        assert self.path is not None
        assert self.assembly is not None
        asked = [(question.question_id, question.question) for question in questions]
        shown = self.assembly.assemble(self.path.find(asked).retrieved, asked)
        return texts_of(shown, if_none=NOTHING_FOUND)

    def _prompts(
        self, plan: ArmPlan, questions: Sequence[Question], contexts: Mapping[str, Sequence[str]]
    ) -> list[Prompt]:
        settings = self.context.study.answer
        shots = [NO_SHOTS] * len(questions)
        if plan.shots:
            assert self.shots is not None
            shots = self.shots.choose(questions)
        return self.context.engine.prepare(
            [
                answer_chat(
                    settings.instructions,
                    q.question,
                    contexts.get(q.question_id),
                    own.examples,
                    contrasts=own.contrasts,
                    form=prompt_form(settings),
                )
                for q, own in zip(questions, shots, strict=True)
            ]
        )

    def _complete(self, plan: ArmPlan, prompts: Sequence[Prompt]) -> list[RawCompletion | Refusal]:
        max_tokens = self.context.study.answer.max_tokens
        return complete_fresh(self.context, prompts, max_tokens=max_tokens, adapter=self.adapters.get(plan.name))


def draw_questions(questions: Sequence[Question], *, n: int, seed: int) -> list[Question]:
    """`n` questions, or all where there are fewer, in a drawn order that the order given has no part in."""
    shuffler = random.Random(seed)  # noqa: S311 (an order, not a secret)
    return shuffler.sample(sorted(questions, key=lambda question: question.question_id), min(n, len(questions)))


def whole_groups(questions: Sequence[Question], size: int) -> list[Sequence[Question]]:
    """Groups of `size`. A rest is left out, for fewer at once cost more each; one smaller group is better than none."""
    last = max(len(questions) - size, 0)
    return [questions[start : start + size] for start in range(0, last + 1, size)]


def measure(
    plans: Sequence[ArmPlan],
    groups: Sequence[Sequence[Question]],
    ask: Callable[[ArmPlan, Sequence[Question], int], list[Latency]],
    *,
    seed: int,
    told: Callable[[int, int], None],
) -> list[Latency]:
    """Ask every group of every arm, arms in a drawn order within each group, after one unrecorded request of each.

    Args:
        plans: the arms.
        groups: questions asked together.
        ask: times one arm on one group, which has the number given.
        seed: of the orders.
        told: of requests done and in all.
    """
    shuffler = random.Random(seed)  # noqa: S311 (an order, not a secret)
    total = len(plans) * len(groups)
    for plan in plans:
        # Models load and memory is laid out at the first request; no one waits for that again.
        ask(plan, groups[0], -1)
    rows: list[Latency] = []
    for number, group in enumerate(groups):
        for at, plan in enumerate(shuffler.sample(plans, len(plans)), start=1):
            rows += ask(plan, group, number)
            told(number * len(plans) + at, total)
    return rows


def _run(context: Context, _: Path | None) -> Outcome:
    settings = context.study.latency
    plans = _plans(context)
    questions = draw_questions(context.questions("test"), n=settings.n_questions, seed=settings.seed)
    with ExitStack() as stack:
        server = _server(context, plans, stack)
        rows = measure(
            plans, [[question] for question in questions], server.ask,
            seed=settings.seed, told=context.reporter.steps("one at a time", "requests"),
        )  # fmt: skip
        if settings.concurrency > 1:
            rows += measure(
                plans, whole_groups(questions, settings.concurrency), server.ask,
                seed=settings.seed, told=context.reporter.steps("several at once", "batches"),
            )  # fmt: skip
    summary = {
        "n_questions": len(questions),
        "n_wanted": settings.n_questions,
        "concurrency": max(row.concurrency for row in rows),
        "n_failed": sum(row.seconds is None for row in rows),
        "arms": [plan.name for plan in plans],
        "device": context.device,
    }
    return Outcome(records=rows, content={}, summary=summary)


def _plans(context: Context) -> list[ArmPlan]:
    """Contestants only: controls and diagnostics are never served."""
    return [plan for plan in arms_of(context.study) if plan.role == "contestant"]


def _server(context: Context, plans: Sequence[ArmPlan], stack: ExitStack) -> _Server:
    retrieves = any(plan.retrieves for plan in plans)
    # With several tuning seeds the first: they do not differ in what they compute.
    adapters = {
        plan.name: context.adapters(plan.adapter)[context.study.tuning.seeds[0]] for plan in plans if plan.adapter
    }
    return _Server(
        context=context,
        path=stack.enter_context(open_path(context, fresh=True)) if retrieves else None,
        assembly=assembly_of(context, fresh=True) if retrieves else None,
        shots=shot_chooser(context, fresh=True) if any(plan.shots for plan in plans) else None,
        adapters=adapters,
    )


def _settings(context: Context) -> dict[str, Any]:
    study = context.study
    plans = _plans(context)
    served, embedded = study.model.endpoint, study.index.endpoint
    return {
        "latency": study.latency.model_dump(mode="json", exclude={"enabled"}),
        "arms": [plan.name for plan in plans],
        "instructions": study.answer.instructions,
        "max_tokens": study.answer.max_tokens,
        "prompt": study.answer.model_dump(mode="json", include={"citations", "contexts"}),
        "shots": (
            [study.answer.n_shots, study.answer.shots_seed, study.answer.shots]
            if any(plan.shots for plan in plans)
            else None
        ),
        "retrieval": study.retrieval.model_dump(mode="json") if any(plan.retrieves for plan in plans) else None,
        "model": context.model_identity,
        "batch_tokens": context.batch_tokens,
        # Seconds are those of a machine: of this one, or of the servers that are named.
        "device": context.device,
        "served": None if served is None else [list(served.urls), served.max_in_flight],
        "vectors": [address_of(context.environment, study.index), embedded and list(embedded.urls)],
    }


STAGE = Stage(
    name="latency",
    version=2,
    settings=_settings,
    inputs=lambda context: {
        "answer": context.results["answer"].digest,
        "index": context.results["index"].digest,
        **path_inputs(context),
    },
    run=_run,
    needed=lambda context: context.study.latency.enabled,
    describe=lambda s: (
        f"{len(s['arms'])} arms, {s['n_questions']} questions one at a time and {s['concurrency']} at once"
    ),
)
