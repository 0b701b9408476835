"""The study's retrieval path, the same for every arm that retrieves, for tuning and for the latency pass (rule 4)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from fourfold.app.context import Context
from fourfold.app.module_models import fresh_writer, scorer, stored_writer
from fourfold.app.reranker import reranker_of
from fourfold.app.vector_server import server_of
from fourfold.arms import arms_of
from fourfold.digest import digest_of_folder
from fourfold.errors import ModelError
from fourfold.llm.port import Adapter
from fourfold.retrieval.context.assembly import Assembly
from fourfold.retrieval.context.choose import make_assembly, narrow_search
from fourfold.retrieval.context.passage import Passage, texts_of
from fourfold.retrieval.index import OpenIndex, require_k
from fourfold.retrieval.modules.judge_cross_encoder import CrossEncoderScorer
from fourfold.retrieval.modules.judge_logprobs import LogprobScorer
from fourfold.retrieval.modules.judge_prompted import PromptedJudge
from fourfold.retrieval.modules.knowledge import Knowledge, knowledge_of
from fourfold.retrieval.modules.knowledge_filter import EntailmentJudge, PairScorer, ThresholdJudge
from fourfold.retrieval.modules.memory import Memory
from fourfold.retrieval.modules.memory_file import MemoryFile
from fourfold.retrieval.modules.pipeline import Found, RetrievalPath
from fourfold.retrieval.modules.ports import Search
from fourfold.retrieval.modules.reservoir import Reservoir
from fourfold.retrieval.modules.rewriter import Rewriter
from fourfold.retrieval.modules.trigger import Trigger
from fourfold.retrieval.qdrant import Server
from fourfold.study import StudySettings
from fourfold.types import Chunk, Document, Retrieved

Module = Literal["rewriter", "filter", "memory"]
ALL_MODULES: tuple[Module, ...] = ("rewriter", "filter", "memory")
# Stands in the prompt in place of passages, so that an arm is told and does not guess why there are none.
NOTHING_FOUND = "No passage was found that answers the question."
MEMORY_FILE = "memory.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """A corpus with its index: the study's, or the format control's."""

    folder: Path
    chunks: Sequence[Chunk]
    documents: Sequence[Document]
    server: Server | None = None


def own_index(context: Context) -> Indexed:
    """The study's."""
    return Indexed(
        folder=context.index_folder, chunks=context.chunks, documents=context.documents, server=server_of(context)
    )


def find_contexts(
    context: Context,
    questions: Sequence[tuple[str, str]],
    indexed: Indexed | None = None,
    *,
    modules: Collection[Module] = ALL_MODULES,
) -> tuple[Found, dict[str, list[str]]]:
    """What the path gives for each (question id, question), and the texts that a prompt shows.

    Args:
        context: as for `open_path`.
        questions: of any split.
        indexed: another corpus than the study's, whose memory knows nothing of it: leave that module out then.
        modules: as for `open_path`.
    """
    found, shown = find_passages(context, questions, indexed, modules=modules)
    return found, texts_of(shown, if_none=NOTHING_FOUND)


def find_passages(
    context: Context,
    questions: Sequence[tuple[str, str]],
    indexed: Indexed | None = None,
    *,
    modules: Collection[Module] = ALL_MODULES,
) -> tuple[Found, dict[str, tuple[Passage, ...]]]:
    """See `find_contexts`: the passages in the prompt's order, none where nothing was found."""
    indexed = indexed or own_index(context)
    assembly = assembly_of(context, indexed)
    with open_path(context, indexed, modules=modules) as path:
        found = path.find(questions)
    return found, assembly.assemble(found.retrieved, questions)


def assembly_of(context: Context, indexed: Indexed | None = None, *, fresh: bool = False) -> Assembly:
    """What makes a prompt's passages of the chunks found; see `open_path`."""
    embedder = context.uncached_embedder if fresh else context.embedder
    chunks = (indexed or own_index(context)).chunks
    return make_assembly(context.study.retrieval, chunks, embedder, context.count_tokens)


@contextmanager
def open_path(
    context: Context,
    indexed: Indexed | None = None,
    *,
    fresh: bool = False,
    modules: Collection[Module] = ALL_MODULES,
) -> Iterator[RetrievalPath]:
    """The path, its index held open.

    Args:
        context: the study; its results up to 'modules' are there (those of the modules named).
        indexed: what is searched; None: the study's index.
        fresh: nothing is taken from the store: what the latency pass times.
        modules: those of the study's that have a part.

    Raises:
        StudyError: k is larger than the number of chunks.
        FairnessError: the memory is not the one that was frozen.
    """
    settings, indexed = context.study.retrieval, indexed or own_index(context)
    require_k(settings.k, len(indexed.chunks))
    own = settings.knowledge_filter if "filter" in modules else None
    with ExitStack() as stack:
        yield RetrievalPath(
            search=stack.enter_context(open_search(context, indexed, fresh=fresh)),
            knowledge=_knowledge(indexed),
            k=settings.k,
            n_judged=min(max(settings.k, own.candidates if own else 0), len(indexed.chunks)),
            rrf_constant=settings.rrf_constant,
            rewriter=_rewriter(context, fresh=fresh) if "rewriter" in modules else None,
            judge=_judge(context, fresh=fresh) if "filter" in modules else None,
            memory=_memory(context, stack, fresh=fresh) if "memory" in modules else None,
        )


@contextmanager
def open_search(context: Context, indexed: Indexed, *, fresh: bool = False) -> Iterator[Search]:
    """An index as the modules search it."""
    settings = context.study.retrieval
    # The embedder itself where it is timed: one that remembers vectors would be timed reading the store.
    embedder = context.uncached_embedder if fresh else context.embedder
    reranker = reranker_of(context)
    with OpenIndex(indexed.folder, indexed.chunks, embedder, server=indexed.server, reranker=reranker) as index:

        def search(queries: Sequence[tuple[str, str]], limit: int) -> Sequence[Retrieved]:
            return index.search(queries, settings.model_copy(update={"k": limit}))

        named = _knowledge(indexed) if settings.titles is not None else {}
        titles = {chunk_id: one.title for chunk_id, one in named.items()}
        yield narrow_search(
            search, settings, documents=indexed.documents, titles=titles, chunks=indexed.chunks, embedder=embedder
        )


def _knowledge(indexed: Indexed) -> Mapping[str, Knowledge]:
    """Every chunk as memory holds it: under its document's title, else its name, and its section."""
    documents = {document.doc_id: document for document in indexed.documents}
    return {
        chunk.chunk_id: knowledge_of(
            chunk,
            document=documents[chunk.doc_id].title or Path(documents[chunk.doc_id].name).stem,
            source=documents[chunk.doc_id].name,
        )
        for chunk in indexed.chunks
    }


def has_module(study: StudySettings, module: Module) -> bool:
    """Whether the study names a module and has an arm, or an adapter's rows, for which anything is retrieved."""
    retrieval = study.retrieval
    named = {"rewriter": retrieval.rewriter, "filter": retrieval.knowledge_filter, "memory": retrieval.memory}[module]
    return named is not None and any(plan.retrieves or plan.adapter for plan in arms_of(study))


def path_inputs(context: Context, modules: Collection[Module] = ALL_MODULES) -> dict[str, str]:
    """Digests of what the path's modules are made of, beside index and settings: their stages, a model they name."""
    inputs = {f"module {name}": context.results[name].digest for name in modules if name in context.results}
    own = context.study.retrieval.knowledge_filter
    if own is not None and own.model is not None:
        inputs["filter model"] = digest_of_folder(own.model)
    return inputs


def content_of(context: Context, module: Module) -> Mapping[str, Any]:
    """What a module's stage left for the path."""
    content: Mapping[str, Any] = context.results[module].summary["content"]
    return content


def folder_of(context: Context, module: Module) -> Path:
    """Where a module's stage left its files."""
    return context.store.blob_folder(module, context.results[module].key)


def _rewriter(context: Context, *, fresh: bool) -> Rewriter | None:
    settings = context.study.retrieval.rewriter
    if settings is None:
        return None
    adapter = None
    if settings.tuned is not None:
        if context.study.model.endpoint is not None:
            raise ModelError(
                "a tuned rewriter needs the model in this process",
                seen="model.endpoint and retrieval.rewriter.tuned",
                expected="one of them",
                hint="leave retrieval.rewriter.tuned out: the server's model is prompted then",
            )
        adapter = Adapter(folder=folder_of(context, "rewriter"), digest=content_of(context, "rewriter")["adapter"])
    write = fresh_writer(context, adapter) if fresh else stored_writer(context, "rewriting questions", adapter)
    return Rewriter(write, n_queries=settings.n_queries, max_tokens=settings.max_tokens)


def _judge(context: Context, *, fresh: bool) -> EntailmentJudge | None:
    settings = context.study.retrieval.knowledge_filter
    if settings is None:
        return None
    if settings.engine == "prompted":
        return PromptedJudge(fresh_writer(context) if fresh else stored_writer(context, "judging passages"))
    threshold = settings.threshold
    if threshold is None:
        threshold = content_of(context, "filter")["threshold"]
    return ThresholdJudge(pair_scorer(context, settings.model), threshold)


def pair_scorer(context: Context, folder: Path | None) -> PairScorer:
    """The engine that gives the knowledge filter's scores; a cross-encoder stands in `folder`, else with its stage."""
    settings = context.study.retrieval.knowledge_filter
    assert settings is not None
    if settings.engine == "logprobs":
        return LogprobScorer(scorer(context))
    return CrossEncoderScorer(folder or folder_of(context, "filter"), device=context.device)


def _memory(context: Context, stack: ExitStack, *, fresh: bool) -> Memory | None:
    settings = context.study.retrieval.memory
    if settings is None:
        return None
    content = content_of(context, "memory")
    file = stack.enter_context(MemoryFile.open(folder_of(context, "memory") / MEMORY_FILE))
    file.require_frozen(content["memory"])
    trigger = Trigger(mode=settings.trigger.mode, tau=content["tau"], theta=content["theta"])
    return memory_in(context, file, trigger, fresh=fresh)


def memory_in(context: Context, file: MemoryFile, trigger: Trigger, *, fresh: bool = False) -> Memory:
    """The study's memory in an open file."""
    settings = context.study.retrieval.memory
    assert settings is not None
    embedder = context.uncached_embedder if fresh else context.embedder
    return Memory(
        Reservoir(file, capacity=settings.capacity),
        trigger,
        embed_queries=partial(embedder.embed, kind="query"),
        embed_titles=partial(embedder.embed, kind="passage"),
    )
