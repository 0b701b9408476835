"""rubric: what the judge will be asked, frozen before the first answer, and its guidelines (fairness rule 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.judge_models import Bench
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.answer import verdict_scope
from fourfold.digest import digest_of, digest_of_file
from fourfold.evals.judge.guideline import read_guidelines, write_guidelines
from fourfold.evals.judge.prompts import prompts_digest
from fourfold.study import JudgeSettings
from fourfold.types import Block, Guideline, Question


def judge_settings(context: Context) -> JudgeSettings:
    """The study's; only stages that it needs ask."""
    assert context.study.judge is not None
    return context.study.judge


def asked(context: Context) -> tuple[Question, ...]:
    """The test questions that the judge is asked about: to what nothing answers there is no reference."""
    return tuple(question for question in context.questions("test") if question.answerable is not False)


def passages(context: Context, questions: tuple[Question, ...]) -> dict[str, str]:
    """Per question id, the gold passage: the blocks that the quote stands in, around the quote where they are long."""
    limit = judge_settings(context).passage_characters
    blocks: dict[str, list[Block]] = {}
    for block in context.blocks:
        blocks.setdefault(block.doc_id, []).append(block)
    return {q.question_id: _passage(q, blocks.get(q.doc_id, []), limit) for q in questions}


def _passage(question: Question, blocks: list[Block], limit: int) -> str:
    own = [block for block in blocks if block.start < question.end and question.start < block.end]
    text = "\n".join(block.text for block in own)
    if not own or question.quote not in text:
        return question.quote[:limit]
    at = text.index(question.quote)
    before = max(0, limit - len(question.quote)) // 2
    start = max(0, min(at - before, len(text) - limit))
    return text[start : start + limit]


def judge_rule(bench: Bench) -> dict[str, Any]:
    """What is frozen: who judges, by which criteria and prompts, and how judgements become a score."""
    settings = bench.settings
    return {
        "judges": [dict(bench.identity(number)) for number in range(len(settings.judges))],
        "passage_characters": settings.passage_characters,
        "guided": settings.guided,
        "max_tokens": settings.max_tokens,
        "criteria": list(settings.criteria),
        "repeats": settings.repeats,
        "combine": settings.combine,
        "severity": settings.severity,
        "debate": settings.debate,
        "prompts": prompts_digest(settings.criteria, repeats=settings.repeats),
    }


def judge_scope(context: Context) -> str:
    """What it is frozen for: this study's name and its test questions."""
    return digest_of(["judge", verdict_scope(context)])


def _run(context: Context, _: Path | None) -> Outcome:
    settings = judge_settings(context)
    scope = verdict_scope(context)
    begun = context.store.connection.execute("SELECT 1 FROM frozen WHERE scope = ?", (scope,)).fetchone() is not None
    rule = judge_rule(Bench(context, settings))
    held = context.store.freeze(judge_scope(context), rule)
    guidelines = _guidelines(context) if "guideline accuracy" in settings.criteria else []
    summary = {
        "n_guidelines": sum(one.text is not None for one in guidelines),
        "n_failed": sum(one.text is None for one in guidelines),
        "frozen_before_answers": not begun and held == rule,
    }
    return Outcome(records=guidelines, content={"prompts": rule["prompts"]}, summary=summary)


def _guidelines(context: Context) -> list[Guideline]:
    settings, questions = judge_settings(context), asked(context)
    if settings.guidelines is not None:
        return read_guidelines(settings.guidelines, questions)
    return write_guidelines(Bench(context, settings).open(0), questions, passages(context, questions))


def _settings(context: Context) -> dict[str, Any]:
    settings = judge_settings(context)
    writes = "guideline accuracy" in settings.criteria and settings.guidelines is None
    return {
        **judge_rule(Bench(context, settings)),
        "writes guidelines": writes,
        # Frozen is what one study froze, and no other study of the store.
        "scope": judge_scope(context),
    }


def _inputs(context: Context) -> dict[str, str]:
    settings = judge_settings(context)
    inputs = {
        "test questions": digest_of(context.questions("test")),
        "ingest": context.results["ingest"].digest,
    }
    if settings.guidelines is not None:
        there = settings.guidelines.is_file()
        inputs["guidelines"] = digest_of_file(settings.guidelines) if there else "missing"
    return inputs


STAGE = Stage(
    name="rubric",
    version=1,
    settings=_settings,
    inputs=_inputs,
    run=_run,
    needed=lambda context: context.study.judge is not None,
    describe=lambda s: (
        ("frozen before the first answer" if s["frozen_before_answers"] else "not frozen before the first answer")
        + (f", {s['n_guidelines']} guidelines, {s['n_failed']} failed" if s["n_guidelines"] or s["n_failed"] else "")
    ),
)
