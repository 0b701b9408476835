"""The language-model port: what an engine takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


Chat = tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to decode: greedy, at most `max_tokens` tokens."""

    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A PEFT adapter on disk and the digest of its weights."""

    folder: Path
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a model wrote for one prompt.

    `token_ids` includes the end token where one was written (`finish_reason` "stop"). `mean_logprob` is natural, over
    `token_ids`; None where nothing was written. `seconds` is the batch's wall time divided by its rows.
    """

    key: str
    text: str
    token_ids: tuple[int, ...]
    n_prompt_tokens: int
    mean_logprob: float | None
    finish_reason: Literal["stop", "length"]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a prompt was not given to the model. The item counts as failed, never as answered."""

    reason: str


class Engine(Protocol):
    """Runs one model. Heavy parts load at the first call that needs them."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Weights digest, quantisation, dtype, engine: what a generation depends on beside prompt and adapter.

        The device is no part of it: it stands in the provenance of each generation.
        """

    @property
    def context_tokens(self) -> int:
        """The longest prompt and answer together, tokens."""

    def encode(self, chats: Sequence[Chat]) -> list[tuple[int, ...]]:
        """Token ids of each prompt, the turn of the assistant opened."""

    def complete(
        self, prompts: Sequence[tuple[int, ...]], sampling: Sampling, adapter: Adapter | None
    ) -> list[RawCompletion]:
        """One batch, decoded together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCompletion:
    """An engine's output for one prompt: `token_ids` and `logprobs` of equal length, end token included."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]
