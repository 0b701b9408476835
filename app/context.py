"""What every stage is given: the study, the store, and models that load at first use."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fourfold.app.progress import Reporter
from fourfold.app.provenance import provenance
from fourfold.arms import AdapterKind, adapter_names
from fourfold.digest import digest_of
from fourfold.embed.cache import CachedEmbedder
from fourfold.embed.port import Embedder
from fourfold.embed.prompts import choose_prompts
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.errors import ModelError
from fourfold.llm.generate import GenerationRun, generate
from fourfold.llm.port import Adapter, Chat, Completion, Engine, Refusal, Sampling
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights, ensure_converted, find_embedder, find_language_model, is_converted
from fourfold.store import Result, Store
from fourfold.study import StudySettings
from fourfold.types import Block, Chunk, Document, Question


@dataclass
class Context:
    """One run of one study.

    `results` holds the stages finished so far, by name; `environment` the keys of endpoints, which are never stored.
    Close it: endpoints keep connections open.
    """

    study: StudySettings
    store: Store
    reporter: Reporter
    cache: Path
    results: dict[str, Result] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    resources: ExitStack = field(default_factory=ExitStack, repr=False)

    def close(self) -> None:
        """Close what endpoints hold open."""
        self.resources.close()

    @functools.cached_property
    def weights(self) -> Weights:
        """The student's weights."""
        return find_language_model(self.study.model.id, self.cache)

    @functools.cached_property
    def student(self) -> TorchEngine:
        """The model in this process: the one that is tuned, and whose tokens are counted."""
        if self.weights.gguf is not None and not is_converted(self.weights):
            self.reporter.say("  converting the model's weights, once, about 20 s for the embedded one")
            ensure_converted(self.weights)
        return TorchEngine(self.weights, self.study.model, device=self.device)

    @functools.cached_property
    def engine(self) -> Engine:
        """What answers: a server where the study names one, else the student."""
        endpoint = self.study.model.endpoint
        if endpoint is None:
            return self.student
        from fourfold.llm.endpoint.engine import EndpointEngine

        # `_served` is filled as adapters are tuned.
        return self.resources.enter_context(
            EndpointEngine(
                endpoint,
                key=find_key(self.environment, endpoint.key_variable),
                jitter=self._jitter(),
                adapters=self._served,
            )
        )

    @functools.cached_property
    def _served(self) -> dict[str, str]:
        """Digests of adapters with the names under which the server has them."""
        return {}

    @staticmethod
    def _jitter() -> random.Random:
        """Of the waits between tries: it moves no result."""
        return random.Random()  # noqa: S311 (waits, not secrets)

    @functools.cached_property
    def embedder_weights(self) -> Weights:
        """The embedder's weights."""
        return find_embedder(self.study.index.embedder)

    @functools.cached_property
    def uncached_embedder(self) -> Embedder:
        """The embedder itself: what the latency pass times."""
        settings = self.study.index
        if settings.endpoint is None:
            prompts = choose_prompts(settings, self.embedder_weights)
            return SentenceEmbedder(self.embedder_weights, device=self.device, prompts=prompts)
        from fourfold.embed.endpoint import EndpointEmbedder

        return self.resources.enter_context(
            EndpointEmbedder(
                settings.endpoint,
                key=find_key(self.environment, settings.endpoint.key_variable),
                jitter=self._jitter(),
                prompts=choose_prompts(settings, None),
            )
        )

    @functools.cached_property
    def embedder(self) -> Embedder:
        """The embedder, every text embedded once per store."""
        return CachedEmbedder(self.uncached_embedder, self.store)

    @property
    def embedder_identity(self) -> str:
        """What of the embedder a stage's result depends on; no server is asked."""
        settings = self.study.index
        if settings.endpoint is None:
            # The device is no part of it, and to ask for it would load torch.
            prompts = choose_prompts(settings, self.embedder_weights)
            return digest_of(dict(SentenceEmbedder(self.embedder_weights, device="cpu", prompts=prompts).identity))
        prompts = choose_prompts(settings, None)
        return digest_of([settings.endpoint.model, settings.endpoint.dimensions, prompts.query, prompts.passage])

    @functools.cached_property
    def device(self) -> str:
        """'cuda' where torch sees a GPU, else 'cpu'."""
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @functools.cached_property
    def provenance(self) -> Mapping[str, Any]:
        """What makes the rows of this run."""
        return provenance()

    @property
    def batch_tokens(self) -> int:
        """Tokens that go to the engine together; for a server enough for four times what is under way at once."""
        model = self.study.model
        return model.batch_tokens if model.endpoint is None else 4 * 2048 * model.endpoint.max_in_flight

    @property
    def model_identity(self) -> Mapping[str, str]:
        """What of the model a stage's result depends on; known without loading it or asking a server."""
        endpoint = self.study.model.endpoint
        own = {
            "weights": self.weights.digest,
            "quantisation": self.study.model.quantisation,
            "dtype": self.study.model.dtype,
        }
        return own if endpoint is None else {**own, "endpoint": endpoint.model}

    @property
    def chunk_settings(self) -> Mapping[str, Any]:
        """The index's settings without those of the embedder, which `embedder_identity` stands for."""
        of_embedder = {"embedder", "endpoint", "query_prompt", "passage_prompt"}
        return self.study.index.model_dump(mode="json", exclude=of_embedder)

    @property
    def documents(self) -> tuple[Document, ...]:
        """Every file of the corpus."""
        return self.store.read(Document, self.results["ingest"].key)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The corpus' text."""
        return self.store.read(Block, self.results["ingest"].key)

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """What is indexed."""
        return self.store.read(Chunk, self.results["index"].key)

    def questions(self, split: str) -> tuple[Question, ...]:
        """The questions of one split."""
        return tuple(q for q in self.store.read(Question, self.results["questions"].key) if q.split == split)

    @property
    def index_folder(self) -> Path:
        """Where the index stands."""
        return self.store.blob_folder("index", self.results["index"].key)

    def adapters(self, kind: AdapterKind) -> dict[int, Adapter]:
        """The adapters of one kind by their tuning seed."""
        return {
            seed: self._adapter(name)
            for name, (its_kind, seed) in adapter_names(self.study).items()
            if its_kind == kind
        }

    def _adapter(self, name: str) -> Adapter:
        result = self.results[name]
        digest = result.summary["content"]["adapter"]
        endpoint = self.study.model.endpoint
        if endpoint is not None:
            self._served[digest] = endpoint.adapters[name]
        return Adapter(folder=self.store.blob_folder(name, result.key), digest=digest)

    def count_tokens(self) -> Callable[[Sequence[str]], list[int]]:
        """Token counts by the student's tokenizer, without loading transformers."""
        from tokenizers import Tokenizer

        _ = self.student  # converts the weights where that is still to do
        tokenizer = Tokenizer.from_file(str(self.weights.folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return lambda texts: [len(code.ids) for code in tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def generate(
        self, chats: Sequence[Chat], *, max_tokens: int, label: str, adapter: Adapter | None = None
    ) -> list[Completion | Refusal]:
        """Completions of the student through the store's cache."""
        run = GenerationRun(
            self.batch_tokens,
            self.reporter.steps(label, "answers" if adapter or label.startswith("arm") else "texts"),
            {**self.provenance, "device": self.device},
        )
        found = generate(
            self.store, self.engine, chats, sampling=Sampling(max_tokens=max_tokens), adapter=adapter, run=run
        )
        if run.n_cached:
            self.reporter.say(
                f"  {label}: {run.n_cached} kept from earlier runs, {run.n_cached_tokens:,} tokens not paid for again"
            )
        return found


def find_key(environment: Mapping[str, str], variable: str | None) -> str | None:
    """An endpoint's key; None where the study names no variable.

    Raises:
        ModelError: the variable is not set.
    """
    if variable is None:
        return None
    if not environment.get(variable):
        raise ModelError(
            "the endpoint's key is not there",
            seen=f"the environment variable {variable} is not set",
            expected="the key in that variable",
            hint=f"export {variable}=…, or name another variable in key_variable",
        )
    return environment[variable]
