"""One judge, one criterion, many answers: each ends with a value in [0, 1] or with the reason why it has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourfold.evals.judge.expectation import expected_value
from fourfold.evals.judge.parse import Unreadable, parse_rating
from fourfold.evals.judge.port import Judge, JudgeItem, Opinion
from fourfold.evals.judge.prompts import How, pointwise_chat
from fourfold.evals.judge.rubric import Rubric
from fourfold.llm.port import Completion, Refusal


def judge_items(
    judge: Judge,
    rubric: Rubric,
    items: Sequence[JudgeItem],
    *,
    repeat: int = 0,
    others: Mapping[str, str] | None = None,
) -> list[Opinion]:
    """Judge every item once.

    Args:
        judge: who judges; by probabilities where it has them, else by what it writes.
        rubric: by what.
        items: what is judged; those on one question next to one another share the most.
        repeat: the order in which the levels are listed, see `prompts.ordered_levels`.
        others: in a debate, per item id what the other judges said.

    Returns:
        One opinion per item, in the order given.
    """
    how: How = "probabilities" if judge.has_probabilities and others is None else "text"
    unguided = {item.item_id for item in items if "guideline" in rubric.shown and item.guideline is None}
    asked = [item for item in items if item.item_id not in unguided]
    chats = [
        pointwise_chat(rubric, item, how=how, repeat=repeat, others=None if others is None else others[item.item_id])
        for item in asked
    ]
    if how == "probabilities":
        weighed = judge.weigh(chats, rubric.labels)
        opinions = [_weighed(rubric, item, found) for item, found in zip(asked, weighed, strict=True)]
    else:
        written = judge.write(chats)
        opinions = [_written(rubric, item, found) for item, found in zip(asked, written, strict=True)]
    by_id = {opinion.item_id: opinion for opinion in opinions}
    return [by_id.get(item.item_id) or _failed(item, "its question has no guideline") for item in items]


def _weighed(rubric: Rubric, item: JudgeItem, found: tuple[float, ...] | Refusal) -> Opinion:
    if isinstance(found, Refusal):
        return _failed(item, found.reason)
    expected = expected_value(found, [level.value for level in rubric.levels])
    if expected is None:
        return _failed(item, "the judge gives no rating any probability")
    return Opinion(
        item_id=item.item_id,
        value=expected.value,
        failure=None,
        probabilities=expected.probabilities,
        mass=expected.mass,
    )


def _written(rubric: Rubric, item: JudgeItem, found: Completion | Refusal) -> Opinion:
    if isinstance(found, Refusal):
        return _failed(item, found.reason)
    rating = parse_rating(found.text, rubric.labels, finish_reason=found.finish_reason)
    if isinstance(rating, Unreadable):
        return _failed(item, rating.reason)
    value = {level.label: level.value for level in rubric.levels}[rating.label]
    return Opinion(item_id=item.item_id, value=value, failure=None, reason=rating.reason)


def _failed(item: JudgeItem, reason: str) -> Opinion:
    return Opinion(item_id=item.item_id, value=None, failure=reason)
