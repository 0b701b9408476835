"""checks: is the first seed's adapter the model that was measured, and what has tuning cost?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.adapter_checks import AdapterChecks
from fourfold.app.stages.knowledge_update import ask_after_update
from fourfold.app.stages.retrieved import path_inputs
from fourfold.arms import adapter_names
from fourfold.digest import digest_of, digest_of_file
from fourfold.errors import StudyError
from fourfold.evals.report.checks import ArmRefresh, CheckRows, Update
from fourfold.ingest.corpus import find_pdfs
from fourfold.types import Score

NO_TEXT = "perplexity, for there is no text beside the corpus (set checks.text or tuning.control)"
# Of a check that had no item, why.
ABSENT = {
    "recall: unseen": "unseen questions, for no test question asks another fact of a tuned document",
    "completion": "completion, for no closed-book tuning row has a reference long enough",
    "follows: edited": "edited passages, for no tuning reference holds a number or name that can be exchanged",
}
SERVED = "merged weights, reload and prompt bytes, for answers come from a server"


def check_rows(context: Context) -> CheckRows | None:
    """What the report is given of the checks; None where they were not carried out."""
    result = context.results.get("checks")
    if result is None:
        return None
    summary, limits = result.summary, context.study.checks
    return CheckRows(
        seed=summary["seed"],
        scores=context.store.read(Score, result.key),
        sections={
            question.question_id: f"{question.doc_id} {' › '.join(question.section)}"
            for split in ("tuning", "test")
            for question in context.questions(split)
        },
        perplexity=summary["perplexity"],
        n_prompts_equal=summary["n_prompts_equal"],
        notes=tuple(summary["notes"]),
        min_identical=limits.min_identical,
        max_logit_gap=limits.max_logit_gap,
        update=_update(context, summary["update"]),
    )


def _update(context: Context, found: dict[str, Any] | None) -> Update | None:
    if found is None:
        return None
    hour = context.study.prices.machine_hour
    refresh = [
        ArmRefresh(arm=arm, seconds=seconds, cost=None if hour is None else seconds / 3600 * hour)
        for arm, seconds in found["refresh_s"].items()
    ]
    told = {name: value for name, value in found.items() if name != "refresh_s"}
    return TypeAdapter(Update).validate_python({**told, "refresh": refresh})


def _run(context: Context, _: Path | None) -> Outcome:
    checks = AdapterChecks(context)
    served = context.study.model.endpoint is not None
    prompts = None if served else checks.prompts()
    text, perplexity = checks.other_text()
    scores = [
        *([] if served else checks.agreement()),
        *checks.general(),
        *text,
        *checks.memorisation(),
        *checks.reliance(),
    ]
    v2 = context.study.checks.corpus_v2
    stale, update = ([], None) if v2 is None else ask_after_update(context, v2)
    scores += stale
    there = {score.metric for score in scores}
    notes = [*([SERVED] if served else []), *([] if text else [NO_TEXT])]
    notes += [why for metric, why in ABSENT.items() if metric not in there]
    summary = {
        "seed": checks.seed,
        "n_scores": len(scores),
        "n_prompts_equal": None if prompts is None else prompts.n_with_contexts + prompts.n_without_contexts,
        "perplexity": perplexity,
        "update": update,
        "notes": notes,
        "device": context.device,
    }
    return Outcome(records=scores, content={}, summary=summary)


def _settings(context: Context) -> dict[str, Any]:
    study = context.study
    checks, control, v2 = study.checks, study.tuning.control, study.checks.corpus_v2
    files = {"text": checks.text, "counterfactual": checks.counterfactual}
    read = {name: None if file is None else _digest(name, file) for name, file in files.items()}
    if checks.text is None and control is not None:
        read["text"] = digest_of([digest_of_file(path) for path in find_pdfs(control)])
    return {
        "n": [checks.n_prompts, checks.n_questions],
        "files": read,
        "corpus_v2": None if v2 is None else digest_of([(p.name, digest_of_file(p)) for p in find_pdfs(v2)]),
        "retrieval": study.retrieval.model_dump(mode="json"),
        "chunks": context.chunk_settings,
        "embedder": context.embedder_identity,
        "instructions": study.answer.instructions,
        "prompt": study.answer.model_dump(mode="json", include={"citations", "contexts"}),
        "max_tokens": study.answer.max_tokens,
        "model": context.model_identity,
    }


def _digest(name: str, file: Path) -> str:
    try:
        return digest_of_file(file)
    except OSError as error:
        raise StudyError(
            "a file that the checks read is not there",
            seen=f"{file}: {error.strerror}",
            expected="a file that can be read",
            hint=f"correct checks.{name}, or leave it out",
        ) from None


def _inputs(context: Context) -> dict[str, str]:
    # The adapter's training set is built again from these.
    splits = ("tuning", "validation", "test")
    return {
        **{f"{split} questions": digest_of(context.questions(split)) for split in splits},
        **{name: context.results[name].digest for name in ("index", "tune", "answer")},
        **path_inputs(context),
    }


STAGE = Stage(
    name="checks",
    version=1,
    settings=_settings,
    inputs=_inputs,
    run=_run,
    needed=lambda context: context.study.checks.enabled and "tune" in adapter_names(context.study),
    describe=lambda s: (
        f"{s['n_scores']} rows on the adapter of seed {s['seed']}"
        + (f", {s['n_prompts_equal']} prompts byte-equal" if s["n_prompts_equal"] is not None else "")
        + "".join(f"; {note}" for note in s["notes"])
    ),
)
