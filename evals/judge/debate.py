"""What the other judges of a jury said of each answer, as one of them is told before it rates again.

Source: Du et al. 2023, "Improving Factuality and Reasoning in Language Models through Multiagent Debate", arXiv
2305.14325, one further round. Where we differ: the judges are different models, and only the last rating counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from fourfold.evals.judge.panel import Place
from fourfold.evals.judge.rubric import Rubric
from fourfold.types import Judgement


def round_of(first_round: Sequence[Judgement], judge: str, rubric: Rubric) -> dict[Place, str]:
    """Per answer, a line for each other judge: the level nearest to its first rating, and its reason where it gave one.

    Judges are numbered, not named: a name would carry weight of its own. A judge that failed is left out.

    Args:
        first_round: of all judges, by one criterion.
        judge: who is told.
        rubric: the criterion.
    """
    others = [name for name in dict.fromkeys(one.judge for one in first_round) if name != judge]
    lines: dict[Place, list[str]] = {}
    for one in first_round:
        if one.judge == judge or one.repeat != 0 or one.value is None:
            continue
        value = one.value
        level = min(rubric.levels, key=lambda level: abs(level.value - value))
        reason = f", because: {one.reason}" if one.reason else ""
        said = f"Judge {others.index(one.judge) + 1} gives {level.label} ({level.name.partition(':')[0]}){reason}"
        lines.setdefault((one.arm, one.tuning_seed, one.question_id), []).append(said)
    return {place: "\n".join(said) for place, said in lines.items()}
