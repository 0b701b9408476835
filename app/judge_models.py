"""The study's judges as models: each opened at first use, one in this process at a time."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fourfold.app.context import Context, find_key
from fourfold.app.progress import format_seconds
from fourfold.digest import digest_of
from fourfold.llm.generate import GenerationRun, generate, length_of, too_long
from fourfold.llm.port import Adapter, Chat, Completion, Engine, Prompt, RawCompletion, Refusal, Sampling, Scored
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights, ensure_converted, find_language_model
from fourfold.study import JudgeSettings, ModelSettings

# What a judge that writes is held to where judge.guided is set.
REPLY_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "rating": {"type": "integer"}},
    "required": ["reason", "rating"],
    "additionalProperties": False,
}


class Bench:
    """The judges of one study.

    Args:
        context: the run.
        settings: the study's judge settings.
    """

    def __init__(self, context: Context, settings: JudgeSettings) -> None:
        self._context = context
        self.settings = settings
        self._weights: dict[str, Weights] = {}
        self._open: tuple[int, EngineJudge] | None = None
        self.told = False

    @property
    def names(self) -> tuple[str, ...]:
        """Each judge's name; two models of one name are told apart by their number."""
        names = [self._plain_name(model) for model in self.settings.judges]
        return tuple(
            name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)
        )

    def identity(self, number: int) -> Mapping[str, str]:
        """What of a judge a judgement depends on; known without loading it or asking a server."""
        model = self.settings.judges[number]
        if model.endpoint is not None:
            return {"endpoint": model.endpoint.model, "guided": str(self.settings.guided)}
        return {
            "weights": self._weights_of(model).digest,
            "quantisation": model.quantisation,
            "dtype": model.dtype,
        }

    def open(self, number: int) -> EngineJudge:
        """A judge; the one opened before is let go."""
        if self._open is None or self._open[0] != number:
            self._open = None
            model = self.settings.judges[number]
            judge = EngineJudge(self._context, self, model, self._engine(model), name=self.names[number])
            self._open = (number, judge)
        return self._open[1]

    def _plain_name(self, model: ModelSettings) -> str:
        return self._weights_of(model).name if model.endpoint is None else model.endpoint.model

    def _weights_of(self, model: ModelSettings) -> Weights:
        if model.id not in self._weights:
            self._weights[model.id] = find_language_model(model.id, self._context.cache)
        return self._weights[model.id]

    def _engine(self, model: ModelSettings) -> Engine:
        context = self._context
        student = context.study.model
        if model.endpoint is not None:
            from fourfold.llm.endpoint.engine import EndpointEngine

            return context.resources.enter_context(
                EndpointEngine(
                    model.endpoint,
                    key=find_key(context.environment, model.endpoint.key_variable),
                    jitter=random.Random(),  # noqa: S311 (waits, not secrets)
                )
            )
        if (model.id, model.dtype, model.quantisation) == (student.id, student.dtype, student.quantisation):
            # Loaded once, judged without an adapter.
            return context.student
        weights = self._weights_of(model)
        ensure_converted(weights)
        return TorchEngine(weights, model, device=context.device)


class EngineJudge:
    """One judge through the language-model port; what it writes goes through the store's cache."""

    def __init__(self, context: Context, bench: Bench, model: ModelSettings, engine: Engine, *, name: str) -> None:
        self._context = context
        self._bench = bench
        self._model = model
        self._engine = engine
        self.name = name
        self.has_probabilities = model.endpoint is None
        self.n_expected = 0
        """Judgements that the whole study will ask for, told with the time that they are expected to take."""

    def weigh(self, chats: Sequence[Chat], labels: Sequence[str]) -> list[tuple[float, ...] | Refusal]:
        """Log-probability of each label; equal chats are read once, in the order given so that neighbours share."""
        fresh = list(dict.fromkeys(chats))
        prompts = dict(zip(fresh, self._engine.prepare(fresh), strict=True))
        found: dict[Chat, tuple[float, ...] | Refusal] = {}
        room = Sampling(max_tokens=max(map(len, labels)))
        for chat, prompt in prompts.items():
            if (refusal := too_long(self._engine, prompt, room)) is not None:
                found[chat] = refusal
        progress = self._context.reporter.steps(f"judge {self.name}", "judgements")
        waiting = [chat for chat in fresh if chat not in found]
        n_done = 0
        for some in _batches(waiting, prompts, self._model.batch_tokens):
            started = time.perf_counter()
            scored = self._engine.score([prompts[chat] for chat in some], [list(labels)] * len(some), None)
            found |= zip(some, map(_label_logprobs, scored), strict=True)
            self._tell_expected((time.perf_counter() - started) / len(some))
            n_done += len(some)
            progress(n_done, len(waiting))
        return [found[chat] for chat in chats]

    def write(self, chats: Sequence[Chat]) -> list[Completion | Refusal]:
        """The replies, each paid for once."""
        context, settings = self._context, self._bench.settings
        endpoint = self._model.endpoint
        engine = _Guided(self._engine) if settings.guided and endpoint is not None else self._engine
        run = GenerationRun(
            self._model.batch_tokens if endpoint is None else 4 * 2048 * endpoint.max_in_flight,
            context.reporter.steps(f"judge {self.name}", "replies"),
            {**context.provenance, "device": context.device},
        )
        sampling = Sampling(max_tokens=settings.max_tokens)
        return generate(context.store, engine, chats, sampling=sampling, run=run)

    def _tell_expected(self, seconds_each: float) -> None:
        if not self._bench.told and self.n_expected:
            self._bench.told = True
            self._context.reporter.say(
                f"  {self.n_expected:,} judgements, expected to take about "
                f"{format_seconds(seconds_each * self.n_expected)}"
            )


class _Guided:
    """An endpoint whose every reply is held to the judge's schema, as an engine with an identity of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine: Any = engine
        self.identity = {**engine.identity, "schema": digest_of(dict(REPLY_SCHEMA))}
        self.context_tokens = engine.context_tokens
        self.prepare = engine.prepare
        self.score = engine.score
        self.stream = engine.stream

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, adapter: Adapter | None
    ) -> Sequence[RawCompletion | Refusal]:
        """As the port says."""
        found: Sequence[RawCompletion | Refusal] = self._engine.complete_json(
            prompts, sampling, adapter, schema=REPLY_SCHEMA
        )
        return found


def _batches(chats: Sequence[Chat], prompts: Mapping[Chat, Prompt], batch_tokens: int) -> list[list[Chat]]:
    """Neighbours together, as many as a batch holds; sorting by length would part those that share."""
    batches: list[list[Chat]] = []
    n_tokens = 0
    for chat in chats:
        n_own = length_of(prompts[chat])
        if batches and n_tokens + n_own <= batch_tokens:
            batches[-1].append(chat)
            n_tokens += n_own
        else:
            batches.append([chat])
            n_tokens = n_own
    return batches


def _label_logprobs(scored: tuple[Scored, ...]) -> tuple[float, ...]:
    return tuple(sum(one.logprobs) for one in scored)
