"""The language-model port: what an engine takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
class Prompt:
    """A chat as an engine takes it.

    `token_ids` holds the assistant's turn opened; None where only a server knows its tokenizer.
    """

    chat: Chat = ()
    token_ids: tuple[int, ...] | None = None

    @property
    def n_tokens(self) -> int | None:
        """Its length; None where it is not known before the server has read it."""
        return None if self.token_ids is None else len(self.token_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to decode: at most `max_tokens` tokens, greedily."""

    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A PEFT adapter on disk and the digest of its weights."""

    folder: Path
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a model wrote for one prompt.

    `n_answer_tokens` counts the end token where one was written (`finish_reason` "stop"). `token_ids` are these tokens;
    None where a server does not tell them. `mean_logprob` is natural, over the answer's tokens; None where nothing was
    written or a server does not tell. `seconds` is the batch's wall time divided by its rows.
    """

    key: str
    text: str
    token_ids: tuple[int, ...] | None
    n_prompt_tokens: int
    n_answer_tokens: int
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
    def context_tokens(self) -> int | None:
        """The longest prompt and answer together, tokens; None where only a server knows."""

    def prepare(self, chats: Sequence[Chat]) -> list[Prompt]:
        """Each chat as this engine takes it."""

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, adapter: Adapter | None
    ) -> Sequence[RawCompletion | Refusal]:
        """One batch, in order: an answer, or why there is none."""

    def stream(self, prompt: Prompt, sampling: Sampling, adapter: Adapter | None) -> Iterator[str]:
        """One answer in parts, as it is written; together they are what `complete` answers.

        Raises:
            SystemFaultError: it breaks off.
        """

    def score(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]], adapter: Adapter | None
    ) -> Sequence[tuple[Scored, ...]]:
        """Log-probabilities of each prompt's own continuations, in order.

        Raises:
            ModelError: this engine cannot tell them.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCompletion:
    """An engine's output for one prompt.

    `token_ids` and `logprobs` (natural) are of equal length, end token included, `n_answer_tokens` of them; each None
    where a server does not tell.
    """

    text: str
    token_ids: tuple[int, ...] | None
    logprobs: tuple[float, ...] | None
    n_prompt_tokens: int
    n_answer_tokens: int
    finish_reason: Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a model thinks of one continuation of a prompt.

    Of equal length: its `token_ids`, their natural `logprobs` given prompt and earlier tokens, and `spans`, the
    characters [start, end) of the continuation that each token stands for.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    spans: tuple[tuple[int, int], ...]
