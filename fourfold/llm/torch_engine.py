"""The torch engine: transformers weights in process, decoded greedily in batches that share what they begin with.

Adapters are PEFT folders, loaded beside the base and switched per batch; the base answers with none active. Models
whose attention cannot run over ragged rows, and rows longer than a model's sliding window, are answered by
transformers' own `generate`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from fourfold.errors import ModelError
from fourfold.llm.adapters import Adapters
from fourfold.llm.attention import why_not, window_of
from fourfold.llm.load import load_base, load_config, load_tokenizer
from fourfold.llm.memory import halving
from fourfold.llm.port import Adapter, Chat, Prompt, RawCompletion, Sampling, Scored
from fourfold.llm.prefix import TokenIds
from fourfold.llm.weights import Weights, ensure_converted, read_config
from fourfold.passages import part_tokens
from fourfold.study import ModelSettings

if TYPE_CHECKING:
    from fourfold.llm.decode import Written

_LOG = logging.getLogger(__name__)
# Part of every generation's key: raise when the same request would be answered with other tokens.
ENGINE = "torch-4"
PLAIN_ENGINE = "torch-generate-4"


class TorchEngine:
    """One model in this process; weights load at the first `complete` or `load`.

    Args:
        weights: where the model is.
        settings: dtype and quantisation.
        device: 'cpu', 'cuda' or 'cuda:N'.
    """

    def __init__(self, weights: Weights, settings: ModelSettings, *, device: str) -> None:
        self.weights = weights
        self.settings = settings
        self.device = device
        self._adapters: Adapters | None = None
        self._end_ids: frozenset[int] = frozenset()

    @property
    def identity(self) -> Mapping[str, str]:
        """What a generation depends on beside its prompt and adapter. The tokenizer is part of the weights' digest."""
        return {
            "engine": ENGINE if self._why_not is None else PLAIN_ENGINE,
            "weights": self.weights.digest,
            "quantisation": self.settings.quantisation,
            "dtype": self.settings.dtype,
        }

    @property
    def context_tokens(self) -> int:
        """The model's position limit, tokens.

        Raises:
            ModelError: its configuration names none.
        """
        ensure_converted(self.weights)
        config = read_config(self.weights)
        # Models that also read pictures nest their text settings; GPT-2's family has a name of its own.
        for settings in (config, config.get("text_config") or {}):
            for name in ("max_position_embeddings", "n_positions"):
                if name in settings:
                    return int(settings[name])
        raise ModelError(
            "the model's context length is unknown",
            seen=f"{self.weights.name}: config.json has no max_position_embeddings",
            expected="a model that states how many tokens it reads",
            hint="name another model in the study file",
        )

    @functools.cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, padding on the left.

        Raises:
            ModelError: it cannot be read, or has no chat template or no end token.
        """
        return load_tokenizer(self.weights)

    @functools.cached_property
    def _reserved(self) -> tuple[str, ...]:
        """The texts that the tokenizer takes for its special tokens: the template writes them, no message does."""
        return tuple(str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special)

    def render(self, chat: Chat) -> str:
        """The prompt's text, the assistant's turn opened; what a message says stays text (`part_tokens`).

        Raises:
            ModelError: the chat template refuses the chat, as some refuse a system prompt.
        """
        turns = [{"role": message.role, "content": part_tokens(message.content, self._reserved)} for message in chat]
        try:
            text: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise ModelError(
                "the model's chat template refuses the prompt",
                seen=f"{self.weights.name}: {error}",
                expected=f"a template that takes turns of {', '.join(message.role for message in chat)}",
                hint="name another model in the study file",
            ) from error
        return text

    def encode(self, chats: Sequence[Chat]) -> list[tuple[int, ...]]:
        """Token ids of each prompt."""
        if not chats:
            return []
        texts = [self.render(chat) for chat in chats]
        # The template writes the special tokens itself.
        # A prompt that is too long is refused by `generate`; the tokenizer need not warn of it.
        return [tuple(ids) for ids in self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]

    def prepare(self, chats: Sequence[Chat]) -> list[Prompt]:
        """Each chat with its token ids."""
        return [Prompt(chat=chat, token_ids=ids) for chat, ids in zip(chats, self.encode(chats), strict=True)]

    def load(self) -> Any:
        """The base model, a transformers model; once an adapter was used it holds PEFT's layers."""
        return self._loaded().base

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, adapter: Adapter | None) -> list[RawCompletion]:
        """One batch, decoded greedily together; in halves where memory does not hold it.

        Raises:
            ModelError: the adapter cannot be loaded, or a single prompt does not fit into memory.
        """
        from fourfold.llm.decode import decode
        from fourfold.llm.plain import generate

        adapters, max_tokens = self._loaded(), sampling.max_tokens

        def ragged(rows: Sequence[TokenIds]) -> list[RawCompletion]:
            written = decode(adapters.base, rows, max_tokens=max_tokens, end_ids=self._end_ids)
            return [self._completion(len(ids), one) for ids, one in zip(rows, written, strict=True)]

        def plain(rows: Sequence[TokenIds]) -> list[RawCompletion]:
            written = generate(
                adapters.base, rows, max_tokens=max_tokens, end_ids=self._end_ids, tokenizer=self.tokenizer
            )
            return [self._completion(len(ids), one) for ids, one in zip(rows, written, strict=True)]

        rows = [_ids(prompt) for prompt in prompts]
        fits = [self._is_ragged(len(ids) + max_tokens) for ids in rows]
        with adapters.active(adapter):
            some = iter(halving(ragged, [ids for ids, fit in zip(rows, fits, strict=True) if fit]))
            others = iter(halving(plain, [ids for ids, fit in zip(rows, fits, strict=True) if not fit]))
        return [next(some if fit else others) for fit in fits]

    def stream(self, prompt: Prompt, sampling: Sampling, adapter: Adapter | None) -> Iterator[str]:
        """One answer in parts, as it is written; whole, from a model that transformers' `generate` answers.

        Raises:
            ModelError: as `complete`.
        """
        from fourfold.llm.decode import stream

        adapters, ids = self._loaded(), _ids(prompt)
        if not self._is_ragged(len(ids) + sampling.max_tokens):
            yield self.complete([prompt], sampling, adapter)[0].text
            return
        tokens = stream(adapters.base, ids, max_tokens=sampling.max_tokens, end_ids=self._end_ids)
        written: list[int] = []
        said = 0
        while True:
            # Opened for each token: between two of them the engine may answer others, with other adapters.
            with adapters.active(adapter):
                token = next(tokens, None)
            if token is not None:
                written.append(token)
            text = self.tokenizer.decode(written, skip_special_tokens=True).strip()
            # A character of several tokens shows as U+FFFD until it is whole; a space may turn out to be the last.
            whole = text if token is None else text.rstrip("\ufffd").rstrip()
            if len(whole) > said:
                yield whole[said:]
                said = len(whole)
            if token is None:
                return

    def score(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]], adapter: Adapter | None
    ) -> list[tuple[Scored, ...]]:
        """Log-probabilities of each prompt's own continuations, in order.

        A continuation is tokenised by itself, without special tokens, and appended to the prompt's tokens.

        Raises:
            ModelError: the adapter cannot be loaded, or a single prompt does not fit into memory.
        """
        from fourfold.llm import plain, score

        adapters = self._loaded()
        coded = [self._continuations(texts) for texts in continuations]
        rows = [(_ids(prompt), [ids for ids, _ in of_row]) for prompt, of_row in zip(prompts, coded, strict=True)]
        longest = max((len(ids) + max(map(len, of_row), default=0) for ids, of_row in rows), default=0)
        by = score.score if self._is_ragged(longest) else plain.score
        with adapters.active(adapter):
            found = halving(
                lambda some: by(adapters.base, [ids for ids, _ in some], [of_row for _, of_row in some]), rows
            )
        return [
            tuple(
                Scored(token_ids=ids, logprobs=tuple(logprobs), spans=spans)
                for (ids, spans), logprobs in zip(of_row, logprobs_of_row, strict=True)
            )
            for of_row, logprobs_of_row in zip(coded, found, strict=True)
        ]

    def _continuations(self, texts: Sequence[str]) -> list[tuple[TokenIds, tuple[tuple[int, int], ...]]]:
        if not texts:
            return []
        coded = self.tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [
            (tuple(ids), tuple((start, end) for start, end in spans))
            for ids, spans in zip(coded["input_ids"], coded["offset_mapping"], strict=True)
        ]

    def _loaded(self) -> Adapters:
        if self._adapters is None:
            base = load_base(self.weights, self.settings, device=self.device)
            # Torch multiplies differently for weights that want gradients, and PEFT freezes them with the first
            # adapter: without this the base would answer otherwise after it than before.
            base.requires_grad_(False)
            # Of a padded prompt only the last position goes through the head, as a strided slice; torch would multiply
            # it row by row with a copy of the head for each: 3.4 GB for 60 rows of SmolLM2-135M.
            base.get_output_embeddings().register_forward_pre_hook(lambda _, args: (args[0].contiguous(),))
            self._end_ids = _end_ids(self.tokenizer.eos_token_id, base.generation_config.eos_token_id)
            self._adapters = Adapters(base, self.weights.name)
            if self._why_not is not None:
                _LOG.warning("%s is answered by transformers' generate: %s", self.weights.name, self._why_not)
        return self._adapters

    @functools.cached_property
    def _config(self) -> Any:
        return load_config(self.weights)

    @functools.cached_property
    def _why_not(self) -> str | None:
        """Why the model cannot run over ragged rows; None where it can."""
        return why_not(self._config)

    def _is_ragged(self, n_tokens: int) -> bool:
        """Whether a row of this length, answer included, is answered over ragged rows: a rule of the row alone."""
        window = window_of(self._config)
        return self._why_not is None and (window is None or n_tokens <= window)

    def _completion(self, n_prompt_tokens: int, written: Written) -> RawCompletion:
        return RawCompletion(
            text=self.tokenizer.decode(written.token_ids, skip_special_tokens=True).strip(),
            token_ids=tuple(written.token_ids),
            logprobs=tuple(written.logprobs),
            n_prompt_tokens=n_prompt_tokens,
            n_answer_tokens=len(written.token_ids),
            finish_reason="stop" if written.token_ids[-1] in self._end_ids else "length",
        )


def _ids(prompt: Prompt) -> tuple[int, ...]:
    assert prompt.token_ids is not None, "prepared by another engine"
    return prompt.token_ids


def _end_ids(of_tokenizer: int, of_model: int | list[int] | None) -> frozenset[int]:
    """Tokens that end an answer: a chat model may end a turn with another one than its text (Gemma, Llama 3)."""
    others = of_model if isinstance(of_model, list) else [of_model]
    return frozenset({of_tokenizer, *(token for token in others if token is not None)})
