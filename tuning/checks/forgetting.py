"""Has tuning cost general ability? Four-option items scored by log-probability, and the likelihood of other text.

The option with the highest log-probability is the answer, as in Gao et al.'s lm-evaluation-harness (`acc`); an item's
options are of like length. Where we differ: the item stands in the model's chat form, as everything else that an arm is
asked. SmolLM2-135M-Instruct, rounded to NF4, has 98 of the 147 items right (.67, chance .25; by log-probability a
character 86, a token 88; 2026-11-25).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from fourfold.llm.port import Adapter, Chat, Message, Prompt, Scored

N_OPTIONS = 4


class Scorer(Protocol):
    """What of an engine scores."""

    def prepare(self, chats: Sequence[Chat]) -> Sequence[Prompt]:
        """Each chat as the engine takes it."""

    def score(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]], adapter: Adapter | None
    ) -> Sequence[tuple[Scored, ...]]:
        """Log-probabilities of each prompt's own continuations."""


class GeneralItem(BaseModel):
    """One question with four options; `answer` is the place of the right one, from 0.

    The items are this project's own, under its licence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    topic: str = Field(min_length=1)
    question: str = Field(min_length=1)
    options: tuple[str, str, str, str]
    answer: int = Field(ge=0, lt=N_OPTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLikelihood:
    """One passage: `nats` is its mean negative log-probability over its `n_tokens`."""

    passage_id: str
    nats: float
    n_tokens: int


def general_items() -> tuple[GeneralItem, ...]:
    """The project's items of general knowledge and simple reasoning, one JSON object a line."""
    text = files("fourfold.tuning.checks").joinpath("general.jsonl").read_text(encoding="utf-8")
    return tuple(GeneralItem.model_validate_json(line) for line in text.splitlines())


def answer_items(engine: Scorer, items: Sequence[GeneralItem], adapter: Adapter | None) -> list[int]:
    """The option chosen for each item, its place from 0; of options that are equally likely the first."""
    prompts = engine.prepare([(Message(role="user", content=item.question),) for item in items])
    scored = engine.score(prompts, [item.options for item in items], adapter)
    return [_most_likely(of_item) for of_item in scored]


def _most_likely(scored: Sequence[Scored]) -> int:
    totals = [sum(one.logprobs) for one in scored]
    return totals.index(max(totals))


def likelihood_of(
    engine: Scorer, passages: Sequence[tuple[str, str]], first_token: int, adapter: Adapter | None
) -> list[TextLikelihood]:
    """How likely text is that nobody tuned on; perplexity is exp of the mean over tokens.

    Args:
        engine: scores.
        passages: id and text, at least one token each.
        first_token: what stands before every passage: the tokenizer's token for the beginning, or the end, of a text.
        adapter: None: the base.
    """
    prompts = [Prompt(token_ids=(first_token,)) for _ in passages]
    scored = engine.score(prompts, [[text] for _, text in passages], adapter)
    return [
        TextLikelihood(passage_id=name, nats=-sum(one.logprobs) / len(one.logprobs), n_tokens=len(one.logprobs))
        for (name, _), (one,) in zip(passages, scored, strict=True)
    ]
