"""What every stage is given: the study, the store, and models that load at first use."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fourfold.app.progress import Reporter
from fourfold.app.provenance import provenance
from fourfold.arms import AdapterKind, adapter_names
from fourfold.embed.port import Embedder
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.llm.generate import GenerationRun, generate
from fourfold.llm.port import Adapter, Chat, Completion, Refusal, Sampling
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights, ensure_converted, find_embedder, find_language_model
from fourfold.store import Result, Store
from fourfold.study import StudySettings
from fourfold.types import Block, Chunk, Document, Question


@dataclass
class Context:
    """One run of one study.

    `results` holds the stages finished so far, by name.
    """

    study: StudySettings
    store: Store
    reporter: Reporter
    cache: Path
    results: dict[str, Result] = field(default_factory=dict)

    @functools.cached_property
    def weights(self) -> Weights:
        """The student's weights."""
        return find_language_model(self.study.model.id, self.cache)

    @functools.cached_property
    def engine(self) -> TorchEngine:
        """The student."""
        if self.weights.gguf is not None and not (self.weights.folder / "config.json").is_file():
            self.reporter.say("  converting the embedded model's weights, once, about 20 s")
            ensure_converted(self.weights)
        return TorchEngine(self.weights, self.study.model, device=self.device)

    @functools.cached_property
    def embedder_weights(self) -> Weights:
        """The embedder's weights."""
        return find_embedder(self.study.index.embedder)

    @functools.cached_property
    def embedder(self) -> Embedder:
        """The embedder."""
        return SentenceEmbedder(self.embedder_weights, device=self.device)

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
    def model_identity(self) -> Mapping[str, str]:
        """What of the model a stage's result depends on; known without loading it."""
        return {
            "weights": self.weights.digest,
            "quantisation": self.study.model.quantisation,
            "dtype": self.study.model.dtype,
        }

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
        return Adapter(folder=self.store.blob_folder(name, result.key), digest=result.summary["content"]["adapter"])

    def count_tokens(self) -> Callable[[Sequence[str]], list[int]]:
        """Token counts by the student's tokenizer, without loading transformers."""
        from tokenizers import Tokenizer

        _ = self.engine  # converts the weights where that is still to do
        tokenizer = Tokenizer.from_file(str(self.weights.folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return lambda texts: [len(code.ids) for code in tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def generate(
        self, chats: Sequence[Chat], *, max_tokens: int, label: str, adapter: Adapter | None = None
    ) -> list[Completion | Refusal]:
        """Completions of the student through the store's cache."""
        run = GenerationRun(
            self.study.model.batch_tokens,
            self.reporter.steps(label, "answers" if adapter or label.startswith("arm") else "texts"),
            {**self.provenance, "device": self.device},
        )
        return generate(
            self.store, self.engine, chats, sampling=Sampling(max_tokens=max_tokens), adapter=adapter, run=run
        )
