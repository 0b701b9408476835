"""How long the judge takes for a finished study: its default profile, once over all answers.

    python benchmarks/judge.py STUDY [--runs runs] [--questions 100] [--arms 4] [--criteria correctness groundedness]

Takes the first `--questions` questions and `--arms` arms of the study's stored answers, judges them by its judge (the
embedded model where the study names none), stores nothing, and appends one row per criterion, seconds a judgement, to
benchmarks/judge.csv. 4 arms × 100 questions of the embedded model on 2 cores are meant to take 8 minutes at most.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import closing
from pathlib import Path

from rows import append, measured

from fourfold.app.context import Context
from fourfold.app.judge_models import Bench
from fourfold.app.pipeline import missing_stages
from fourfold.app.progress import Reporter
from fourfold.app.run import default_cache
from fourfold.app.stages import STAGES
from fourfold.app.stages.judge_answers import contestants
from fourfold.app.stages.rubric import asked, passages
from fourfold.evals.judge.pointwise import judge_items
from fourfold.evals.judge.port import JudgeItem
from fourfold.evals.judge.rubric import RUBRICS
from fourfold.store import Store
from fourfold.study import CRITERIA, JudgeSettings
from fourfold.study_file import load_study


def main() -> None:
    """Judge, time, append."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--arms", type=int, default=4)
    parser.add_argument("--criteria", nargs="+", choices=CRITERIA, default=["correctness", "groundedness"])
    wanted = parser.parse_args()
    study = load_study(wanted.study)
    study = study.model_copy(update={"judge": study.judge or JudgeSettings()})
    with Store.open(wanted.runs) as store:
        context = Context(study=study, store=store, reporter=Reporter(quiet=False), cache=default_cache(os.environ))
        with closing(context):
            upto = [stage.name for stage in STAGES].index("answer")
            # The rubric's stage is the judge's own: a study without one has it not.
            missing = missing_stages(context, [stage for stage in STAGES[: upto + 1] if stage.name != "rubric"])
            if missing:
                parser.error(f"run the study first; not carried out: {', '.join(missing)}")
            items = take(context, n_questions=wanted.questions, n_arms=wanted.arms)
            assert study.judge is not None
            judge = Bench(context, study.judge).open(0)
            # The model loads at the first judgement, and nobody waits for that again.
            judge_items(judge, RUBRICS[wanted.criteria[0]], items[:1])
            found = []
            for criterion in wanted.criteria:
                started = time.perf_counter()
                opinions = judge_items(judge, RUBRICS[criterion], items)
                seconds = time.perf_counter() - started
                n_failed = sum(opinion.value is None for opinion in opinions)
                found.append(
                    measured(
                        [seconds / len(items)], op="judge", implementation=judge.name, unit="s a judgement",
                        shape=f"{wanted.arms} arms x {wanted.questions} questions, {n_failed} failed", mode=criterion,
                    )
                )  # fmt: skip
    print(append("judge", found))


def take(context: Context, *, n_questions: int, n_arms: int) -> list[JudgeItem]:
    """Answers of the first arms to the first questions, those on one question next to one another."""
    questions = asked(context)[:n_questions]
    texts = passages(context, questions)
    answers = contestants(context)
    arms = list(dict.fromkeys(answer.arm for answer in answers))[:n_arms]
    text = {(answer.arm, answer.question_id): answer.text for answer in answers}
    return [
        JudgeItem(
            item_id=f"{arm} {question.question_id}",
            question=question.question,
            answer=own,
            reference=question.reference,
            passage=texts[question.question_id],
        )
        for question in questions
        for arm in arms
        if (own := text[arm, question.question_id]) is not None
    ]


if __name__ == "__main__":
    main()
