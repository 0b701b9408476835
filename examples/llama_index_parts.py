"""fourfold's retrieval parts in a llama-index pipeline, each of which can be taken alone.

Run it from the repository's root: python examples/llama_index_parts.py (about two minutes on two cores, no network).
It reads the quickstart's PDFs, indexes them, and asks one question through a llama-index query engine that is made of

- the query rewriter, as a query transform;
- hybrid search within the document that a question names, as a retriever;
- reranker, knowledge filter and assembly (sentences nearest to the question, a budget of tokens), as postprocessors;
- the study's model, as a llama-index LLM.

The embedded model has 135M parameters: what it answers shows that the parts fit together, not how good they are.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.query_engine import RetrieverQueryEngine, TransformQueryEngine

from fourfold.adapters.llama_index_llm import as_llama_index_llm
from fourfold.app.run import default_cache
from fourfold.embed.port import Embedder
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.ingest.corpus import Corpus, read_corpus
from fourfold.llm.port import Chat, Engine, Refusal, Sampling
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import find_embedder, find_language_model
from fourfold.retrieval.chunk import CountTokens, chunk_documents
from fourfold.retrieval.components.postprocessors import (
    as_assembling_postprocessor,
    as_filtering_postprocessor,
    as_reranking_postprocessor,
)
from fourfold.retrieval.components.query_transform import as_llama_index_query_transform
from fourfold.retrieval.components.retriever import as_llama_index_retriever
from fourfold.retrieval.context.assembly import Assembly, Budget
from fourfold.retrieval.context.focus import Focus
from fourfold.retrieval.context.narrow import NarrowedSearch
from fourfold.retrieval.context.scope import NamedDocument
from fourfold.retrieval.index import OpenIndex, build_index
from fourfold.retrieval.modules.judge_prompted import PromptedJudge
from fourfold.retrieval.modules.ports import Likelihood, Reply
from fourfold.retrieval.modules.rewriter import Rewriter
from fourfold.retrieval.rerank_model import LanguageModelReranker
from fourfold.study import EMBEDDED, ModelSettings, RetrievalSettings
from fourfold.types import Chunk, Retrieved

CORPUS = Path(__file__).parent / "quickstart" / "corpus"
QUESTION = "Which shell may a maintainer script name in its first line?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the pipeline is made of."""

    corpus: Corpus
    chunks: Sequence[Chunk]
    index: OpenIndex
    embedder: Embedder
    engine: Engine
    count_tokens: CountTokens


def open_index(
    corpus: Corpus, folder: Path, embedder: Embedder, count_tokens: CountTokens
) -> tuple[Sequence[Chunk], AbstractContextManager[OpenIndex]]:
    """Chunk and index a corpus under an empty folder."""
    chunks = chunk_documents(corpus.blocks, count_tokens, max_tokens=192, overlap=24)
    build_index(folder, chunks, embedder)
    return chunks, OpenIndex(folder, chunks, embedder)


def query_engine(parts: Parts, *, k: int = 4) -> BaseQueryEngine:
    """A llama-index query engine of all the parts."""
    by_id = {chunk.chunk_id: chunk for chunk in parts.chunks}
    assembly = Assembly(
        chunks=by_id,
        focus=Focus(
            embed_queries=partial(parts.embedder.embed, kind="query"),
            embed_sentences=partial(parts.embedder.embed, kind="passage"),
            n_sentences=6,
        ),
        budget=Budget(count_tokens=parts.count_tokens, max_tokens=512),
        order="best_last",
    )
    answering = RetrieverQueryEngine.from_args(
        retriever(parts, by_id, k=k),
        llm=as_llama_index_llm(parts.engine, max_tokens=48),
        node_postprocessors=[
            as_reranking_postprocessor(LanguageModelReranker(scorer(parts.engine)), by_id, top=k),
            as_filtering_postprocessor(PromptedJudge(writer(parts.engine))),
            as_assembling_postprocessor(assembly),
        ],
    )
    rewriter = Rewriter(writer(parts.engine), n_queries=3, max_tokens=96)
    return TransformQueryEngine(answering, as_llama_index_query_transform(rewriter))


def retriever(parts: Parts, by_id: dict[str, Chunk], *, k: int) -> BaseRetriever:
    """Dense search and BM25, fused, within the document that a query names."""

    def search(queries: Sequence[tuple[str, str]], limit: int) -> Sequence[Retrieved]:
        return parts.index.search(queries, RetrievalSettings(k=limit))

    named = NamedDocument(parts.corpus.documents, parts.chunks)
    narrowed = NarrowedSearch(search=search, narrow=named, n_chunks=len(parts.chunks))
    return as_llama_index_retriever(narrowed, by_id, k=k)


def writer(engine: Engine) -> Callable[..., Sequence[Reply | Refusal]]:
    """The model as a part that writes takes it; an adapter of a tuned rewriter would be handed to `complete`."""

    def write(chats: Sequence[Chat], *, max_tokens: int) -> list[Reply | Refusal]:
        done = engine.complete(engine.prepare(chats), Sampling(max_tokens=max_tokens), None)
        return [
            one
            if isinstance(one, Refusal)
            else Reply(text=one.text, n_tokens=one.n_prompt_tokens + one.n_answer_tokens)
            for one in done
        ]

    return write


def scorer(engine: Engine) -> Callable[..., Sequence[Likelihood]]:
    """The model as a part that scores takes it."""

    def score(chats: Sequence[Chat], continuations: Sequence[str]) -> list[Likelihood]:
        prompts = engine.prepare(chats)
        return [
            Likelihood(logprobs=tuple(sum(one.logprobs) for one in of_prompt), n_tokens=prompt.n_tokens or 0)
            for prompt, of_prompt in zip(
                prompts, engine.score(prompts, [continuations] * len(prompts), None), strict=True
            )
        ]

    return score


def token_counter(engine: TorchEngine) -> CountTokens:
    """Token counts by the model's tokenizer."""
    return lambda texts: [len(ids) for ids in engine.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


def main() -> None:
    """Ask the question and print the answer with the passages behind it."""
    with tempfile.TemporaryDirectory() as folder:
        engine = TorchEngine(find_language_model(EMBEDDED, default_cache(os.environ)), ModelSettings(), device="cpu")
        embedder = SentenceEmbedder(find_embedder(EMBEDDED), device="cpu")
        count_tokens = token_counter(engine)
        corpus = read_corpus(CORPUS)
        chunks, opening = open_index(corpus, Path(folder), embedder, count_tokens)
        with opening as index:
            parts = Parts(
                corpus=corpus, chunks=chunks, index=index, embedder=embedder, engine=engine, count_tokens=count_tokens
            )
            response = query_engine(parts).query(QUESTION)
        print(response)
        for node in response.source_nodes:
            print(f"  {node.node.metadata['section']}, page {node.node.metadata['page_first']}")


if __name__ == "__main__":
    main()
