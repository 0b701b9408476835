"""What a judge is tuned on: answers that people judged, each asked about with the reference in sight and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fourfold.errors import ModelError, QuestionError
from fourfold.llm.port import Chat
from fourfold.tuning.rows import ChatTokenizer

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedExample:
    """One answer that people judged, as the judge is asked about it with and without the reference."""

    with_reference: Chat
    without_reference: Chat
    rating: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRow:
    """The same in token ids; `target` is the place of its rating among the ratings."""

    with_reference_ids: tuple[int, ...]
    without_reference_ids: tuple[int, ...]
    target: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSet:
    """What a judge is trained on; `rating_ids` holds the token of each rating."""

    rows: tuple[JudgeRow, ...]
    rating_ids: tuple[int, ...]


def build_judge_set(engine: ChatTokenizer, examples: Sequence[JudgedExample], ratings: Sequence[str]) -> JudgeSet:
    """Rows in the order of the examples.

    Args:
        engine: renders and encodes as it does when judging.
        examples: judged answers.
        ratings: what the judge may reply.

    Raises:
        QuestionError: no examples, a rating that is none of `ratings`, or one rating throughout.
        ModelError: a rating is not one token of its own.
    """
    named = {example.rating for example in examples}
    if len(named) < 2 or not named <= set(ratings):
        raise QuestionError(
            "there is nothing to tune a judge on",
            seen=f"{len(examples)} judged answers, rated {', '.join(sorted(named)) or 'not at all'}",
            expected=f"at least two different ratings, out of {', '.join(ratings)}",
            hint="take labels of right and of wrong answers",
        )
    seeing = engine.encode([example.with_reference for example in examples])
    blind = engine.encode([example.without_reference for example in examples])
    return JudgeSet(
        rows=tuple(
            JudgeRow(with_reference_ids=with_ids, without_reference_ids=ids, target=ratings.index(example.rating))
            for example, with_ids, ids in zip(examples, seeing, blind, strict=True)
        ),
        rating_ids=_rating_ids(engine, ratings),
    )


def collate(rows: Sequence[JudgeRow], *, pad_id: int) -> dict[str, torch.Tensor]:
    """Both forms of B rows as one batch, padded on the right, all with the reference first.

    Returns:
        `input_ids` int64 [2B, T]; `last` int64 [2B], the place of each prompt's last token; `targets` int64 [B].
    """
    import torch

    prompts = [row.with_reference_ids for row in rows] + [row.without_reference_ids for row in rows]
    input_ids = torch.full((len(prompts), max(map(len, prompts))), pad_id)
    for at, ids in enumerate(prompts):
        input_ids[at, : len(ids)] = torch.tensor(ids)
    return {
        "input_ids": input_ids,
        "last": torch.tensor([len(ids) - 1 for ids in prompts]),
        "targets": torch.tensor([row.target for row in rows]),
    }


def _rating_ids(engine: ChatTokenizer, ratings: Sequence[str]) -> tuple[int, ...]:
    """The token of each rating."""
    coded = [tuple(ids) for ids in engine.tokenizer(list(ratings), add_special_tokens=False)["input_ids"]]
    if any(len(ids) != 1 for ids in coded) or len(set(coded)) != len(coded):
        raise ModelError(
            "the model cannot be tuned as a judge",
            seen=", ".join(f"{rating!r} is {len(ids)} token(s)" for rating, ids in zip(ratings, coded, strict=True)),
            expected="a different single token for each rating",
            hint="use ratings of one digit, or another model",
        )
    return tuple(ids[0] for ids in coded)
