"""What one judge does with all answers: by one criterion, after hearing the others, under attack, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.judge_models import Bench
from fourfold.app.pipeline import Outcome
from fourfold.app.stages.judge_answers import Asked, answers_to_judge, clusters_of, contestants
from fourfold.app.stages.rubric import asked
from fourfold.evals.judge.debate import round_of
from fourfold.evals.judge.injection import measure_shift
from fourfold.evals.judge.pairwise import PairItem, judge_pairs
from fourfold.evals.judge.pointwise import judge_items
from fourfold.evals.judge.port import Opinion
from fourfold.evals.judge.rubric import RUBRICS
from fourfold.study import Criterion
from fourfold.types import Judgement


def run_criterion(context: Context, _: Path | None, bench: Bench, number: int, criterion: Criterion) -> Outcome:
    """Judge every answer by one criterion, in every repeat."""
    settings, given = bench.settings, answers_to_judge(context)
    judge = bench.open(number)
    judge.n_expected = len(given.pairs) * settings.repeats * len(settings.criteria) * len(settings.judges)
    items = [item for _, item in given.pairs]
    rows: list[Judgement] = []
    for repeat in range(settings.repeats):
        opinions = judge_items(judge, RUBRICS[criterion], items, repeat=repeat)
        rows += _judgements(given, opinions, criterion, judge.name, repeat)
    return _outcome(rows)


def run_debate(context: Context, _: Path | None, bench: Bench, number: int, criterion: Criterion) -> Outcome:
    """Judge every answer once more, having heard the other judges of the jury."""
    settings, given = bench.settings, answers_to_judge(context)
    first_round = _first_round(context, bench, criterion)
    judge = bench.open(number)
    places = {item.item_id: (a.arm, a.tuning_seed, a.question_id) for a, item in given.pairs}
    heard = round_of(first_round, bench.names[number], RUBRICS[criterion])
    others = {item_id: heard.get(place, "") for item_id, place in places.items()}
    opinions = judge_items(judge, RUBRICS[criterion], [item for _, item in given.pairs], others=others)
    return _outcome(_judgements(given, opinions, criterion, judge.name, settings.repeats))


def _first_round(context: Context, bench: Bench, criterion: Criterion) -> list[Judgement]:
    names = [pass_name(number, criterion) for number in range(len(bench.names))]
    return [row for name in names for row in context.store.read(Judgement, context.results[name].key)]


def _judgements(
    given: Asked, opinions: Sequence[Opinion], criterion: Criterion, judge: str, repeat: int
) -> list[Judgement]:
    return [
        Judgement(
            arm=answer.arm,
            tuning_seed=answer.tuning_seed,
            question_id=answer.question_id,
            criterion=criterion,
            judge=judge,
            repeat=repeat,
            value=opinion.value,
            failure=opinion.failure,
            reason=opinion.reason,
            probabilities=opinion.probabilities,
            mass=opinion.mass,
        )
        for (answer, _), opinion in zip(given.pairs, opinions, strict=True)
    ]


def _outcome(rows: Sequence[Judgement]) -> Outcome:
    summary = {"n_judgements": len(rows), "n_failed": sum(row.value is None for row in rows)}
    return Outcome(records=rows, content={}, summary=summary)


def run_injection(context: Context, _: Path | None, bench: Bench, number: int, criterion: Criterion) -> Outcome:
    """Measure what text that asks for full marks moves."""
    given = answers_to_judge(context)
    clusters = clusters_of(context)
    items = [item for answer, item in given.pairs if answer.question_id in clusters]
    of_item = {item.item_id: clusters.get(answer.question_id, "") for answer, item in given.pairs}
    shift = measure_shift(bench.open(number), RUBRICS[criterion], items, of_item)
    return Outcome(records=[], content={"shift": asdict(shift)}, summary={})


def run_pairs(context: Context, _: Path | None, bench: Bench, number: int) -> Outcome:
    """Compare every two contestants' answers, in both orders."""
    questions = {question.question_id: question for question in asked(context)}
    text = {(a.arm, a.question_id): a.text for a in contestants(context)}
    arms = list(dict.fromkeys(arm for arm, _ in text))
    items = [
        PairItem(
            question_id=question.question_id, question=question.question, reference=question.reference,
            a=a, b=b, answer_a=one, answer_b=other,
        )
        for question in questions.values()
        for b, a in combinations(arms, 2)
        if (one := text[a, question.question_id]) is not None and (other := text[b, question.question_id]) is not None
    ]  # fmt: skip
    rows = judge_pairs(bench.open(number), items)
    summary = {"n_judgements": len(rows), "n_failed": sum(row.choice is None for row in rows)}
    return Outcome(records=rows, content={}, summary=summary)


def judgements_of(context: Context) -> list[Judgement]:
    """Of every pass."""
    return [
        row for name in finished_passes(context) for row in context.store.read(Judgement, context.results[name].key)
    ]


def finished_passes(context: Context) -> list[str]:
    """Names of the judges' finished passes."""
    return [name for name in context.results if name.startswith("judge-") and name != "judge-calibration"]


def pass_name(number: int, what: str) -> str:
    """The name of a pass's stage; judges are counted from 1."""
    return f"judge-{number + 1}-{what.replace(' ', '-')}"
