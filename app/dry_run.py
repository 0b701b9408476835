"""`fourfold dry-run`: what tuning would train on, before it does.

Questions and index are made where they are missing.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.pipeline import run_stages
from fourfold.app.progress import Reporter
from fourfold.app.run import lock
from fourfold.app.stages import index, ingest, modules, questions
from fourfold.app.stages.tune import build_own_set
from fourfold.arms import adapter_names
from fourfold.errors import FourfoldError, StudyError
from fourfold.store import Store
from fourfold.study import StudySettings
from fourfold.tuning.clean import count_reasons
from fourfold.tuning.dry_run import CLOSE, OPEN, Example, find_faults, show_examples


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """Examples of the first adapter's rows, how many rows are left out for which reason, and all that is wrong."""

    examples: tuple[Example, ...]
    n_rows: int
    n_trained_tokens: int
    dropped: dict[str, int]
    faults: list[FourfoldError]


def dry_run(study: StudySettings, runs: Path, *, cache: Path, reporter: Reporter) -> DryRun:
    """Build the training set of a study's first adapter and look at it.

    Args:
        study: the resolved study.
        runs: the working folder.
        cache: folder for converted weights.
        reporter: told what is going on.

    Raises:
        FourfoldError: see the stages; a StudyError where no arm is tuned.
    """
    if not adapter_names(study):
        raise StudyError(
            "the study tunes nothing",
            seen=f"answer.arms = {', '.join(study.answer.arms)}",
            expected="an arm with an adapter",
            hint="add tuned or tuned + rag to answer.arms",
        )
    with Store.open(runs) as store, lock(runs):
        context = Context(study=study, store=store, reporter=reporter, cache=cache)
        with closing(context):
            run_stages(context, (ingest.STAGE, questions.STAGE, index.STAGE, modules.STAGE))
            return look(context)


def look(context: Context) -> DryRun:
    """See `dry_run`; documents, questions and index are there."""
    kind, seed = next(iter(adapter_names(context.study).values()))
    built, _ = build_own_set(context, kind, seed)
    rows, engine = built.data.rows, context.student
    return DryRun(
        examples=show_examples(engine, rows),
        n_rows=len(rows),
        n_trained_tokens=sum(len(row.answer_ids) for row in rows),
        dropped=count_reasons(built.dropped),
        faults=find_faults(
            rows,
            built.dropped,
            end_id=engine.tokenizer.eos_token_id,
            answer_tokens=context.study.answer.max_tokens,
        ),
    )


def render_dry_run(done: DryRun) -> str:
    """For people: each form's example, then the counts."""
    parts = [
        f"{example.form}: {example.n_rows} row(s); question {example.question_id}, {example.n_prompt_tokens} prompt "
        f"tokens, {example.n_trained_tokens} trained ones between {OPEN} and {CLOSE}\n{example.text}\n"
        for example in done.examples
    ]
    left_out = ", ".join(f"{n} × {reason}" for reason, n in sorted(done.dropped.items())) or "none"
    parts.append(f"{done.n_rows} rows, {done.n_trained_tokens:,} trained tokens an epoch; rows left out: {left_out}\n")
    return "\n".join(parts)
