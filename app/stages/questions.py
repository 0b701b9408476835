"""questions: test questions from the file, tuning questions generated over every document."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.digest import digest_of_file
from fourfold.ingest.generate import Generated, GenerationSettings, generate_questions
from fourfold.ingest.leakage import find_leaks, require_few_leaks
from fourfold.ingest.questions_file import read_questions, require_file
from fourfold.ingest.strata import assign_strata
from fourfold.llm.port import Chat, Completion
from fourfold.types import LeakedPair, Question

# Over what is wanted, so that what the leak check takes out is made up for.
_SPARE_SHARE = 0.05


def _settings(context: Context) -> dict[str, Any]:
    settings = context.study.questions.model_dump(mode="json", exclude={"file"})
    return {**settings, "model": context.model_identity, "embedder": context.embedder_weights.digest}


def _inputs(context: Context) -> dict[str, str]:
    path = require_file(context.study.questions.file)
    return {"ingest": context.results["ingest"].digest, "file": digest_of_file(path)}


def _run(context: Context, _: Path | None) -> Outcome:
    settings = context.study.questions
    assert settings.file is not None
    documents, blocks = context.documents, context.blocks
    # First, because it costs nothing: a bad quote must not cost a generation.
    test = read_questions(settings.file, documents, blocks, subset=settings.subset)
    n_wanted = settings.n_tuning + settings.n_validation
    generated = generate_questions(
        documents,
        blocks,
        lambda chats, max_tokens: write_texts(context, chats, max_tokens),
        n_wanted=n_wanted + max(2, round(_SPARE_SHARE * n_wanted)),
        settings=generation_settings(context),
    )
    leaks = find_leaks(
        generated.questions,
        test,
        context.embedder.embed,
        jaccard_limit=settings.jaccard_limit,
        cosine_limit=settings.cosine_limit,
    )
    require_few_leaks(leaks, len(generated.questions), limit=settings.leak_limit)
    tuning, validation = _split(generated, leaks, settings.n_tuning, settings.n_validation)
    strata = assign_strata(test, tuning)
    return Outcome(
        records=[*strata, *tuning, *validation, *leaks],
        content={},
        summary=_summary(strata, tuning, validation, leaks, generated),
    )


def generation_settings(context: Context) -> GenerationSettings:
    """How the study has questions written."""
    settings = context.study.questions
    return GenerationSettings(
        seed=settings.seed,
        candidates_per_question=settings.candidates_per_question,
        max_question_tokens=settings.max_question_tokens,
        max_reference_tokens=settings.max_reference_tokens,
    )


def write_texts(context: Context, chats: Sequence[Chat], max_tokens: int) -> list[str | None]:
    """What the student writes; None for a prompt that it could not be given."""
    completions = context.generate(chats, max_tokens=max_tokens, label="writing")
    return [completion.text if isinstance(completion, Completion) else None for completion in completions]


def _split(
    generated: Generated, leaks: Sequence[LeakedPair], n_tuning: int, n_validation: int
) -> tuple[list[Question], list[Question]]:
    """One question of each document in turn, so that both splits cover them; tuning first: it must cover them all."""
    leaked = {(leak.tuning_question, leak.tuning_reference) for leak in leaks}
    by_document: dict[str, list[Question]] = {}
    for question in generated.questions:
        if (question.question, question.reference) not in leaked:
            by_document.setdefault(question.doc_id, []).append(question)
    queues = list(by_document.values())
    # In proportion: document d's i-th question stands at (i + .5) / its number of questions.
    places = sorted((((i + 0.5) / len(queue), d, i) for d, queue in enumerate(queues) for i in range(len(queue))))
    heads = [queue[0] for queue in queues]
    rest = [queues[d][i] for _, d, i in places if i > 0]
    ordered = [*heads, *rest]
    n_tuning = max(n_tuning, len(heads))
    tuning, validation = ordered[:n_tuning], ordered[n_tuning : n_tuning + n_validation]
    return tuning, [dataclasses.replace(question, split="validation") for question in validation]


def _summary(
    test: Sequence[Question],
    tuning: Sequence[Question],
    validation: Sequence[Question],
    leaks: Sequence[LeakedPair],
    generated: Generated,
) -> dict[str, Any]:
    strata: dict[str, int] = {}
    for question in test:
        strata[str(question.stratum)] = strata.get(str(question.stratum), 0) + 1
    return {
        "n_test": len(test),
        "n_sections": len({(question.doc_id, question.section) for question in test}),
        "n_tuning": len(tuning),
        "n_validation": len(validation),
        "n_leaked": len(leaks),
        "n_quotes_tried": generated.n_tried,
        "n_generated": len(generated.questions),
        "n_references_by_model": sum(question.reference_source == "model" for question in tuning),
        "refused": dict(sorted(generated.refused.items())),
        "strata": dict(sorted(strata.items())),
    }


STAGE = Stage(
    name="questions",
    version=1,
    settings=_settings,
    inputs=_inputs,
    run=_run,
    describe=lambda s: (
        f"{s['n_test']} test questions over {s['n_sections']} sections, {s['n_tuning']} tuning questions "
        f"({s['n_references_by_model']} answers by the model, the rest are quotes), {s['n_leaked']} taken out as "
        "repeats"
    ),
)
