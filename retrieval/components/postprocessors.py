"""Reranker, knowledge filter and assembly as llama-index node postprocessors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fourfold.errors import InputError
from fourfold.passages import as_data
from fourfold.retrieval.components.nodes import chunks_of, nodes_of
from fourfold.retrieval.context.assembly import Assembly
from fourfold.retrieval.context.passage import passage_of
from fourfold.retrieval.modules.knowledge_filter import EntailmentJudge, Pair
from fourfold.retrieval.rerank import Reranker
from fourfold.types import Chunk

if TYPE_CHECKING:
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import NodeWithScore, QueryBundle

Process = Callable[[Sequence["NodeWithScore"], str], list["NodeWithScore"]]


def as_reranking_postprocessor(reranker: Reranker, chunks: Mapping[str, Chunk], *, top: int) -> BaseNodePostprocessor:
    """The first `top` nodes in the reranker's order, with the scores that they had.

    Args:
        reranker: reads chunks.
        chunks: by id.
        top: nodes kept.
    """

    def rerank(nodes: Sequence[NodeWithScore], question: str) -> list[NodeWithScore]:
        order = reranker.rerank(question, chunks_of(nodes, chunks))
        return [nodes[at] for at in order[:top]]

    return _make(rerank)


def as_filtering_postprocessor(judge: EntailmentJudge) -> BaseNodePostprocessor:
    """The nodes whose text entails an answer; one that could not be judged stays."""

    def keep(nodes: Sequence[NodeWithScore], question: str) -> list[NodeWithScore]:
        judged = judge.judge([Pair(premise=one.node.get_content(), hypothesis=question) for one in nodes])
        return [one for one, judgement in zip(nodes, judged, strict=True) if judgement.entailed is not False]

    return _make(keep)


def as_assembling_postprocessor(assembly: Assembly) -> BaseNodePostprocessor:
    """Section, focus, budget and order, as far as they are switched on; texts are shown as data.

    Put it last: its nodes keep their chunks' ids and have other texts. Numbers for citations are the query engine's own
    (llama-index's CitationQueryEngine gives them).
    """

    def assemble(nodes: Sequence[NodeWithScore], question: str) -> list[NodeWithScore]:
        scores = {one.node.node_id: one.score for one in nodes}
        found = tuple(passage_of(chunk) for chunk in chunks_of(nodes, assembly.chunks))
        shown = assembly.arrange({"": found}, {"": question})[""]
        new = nodes_of((passage.chunk, scores[passage.chunk.chunk_id]) for passage in shown)
        for node, passage in zip(new, shown, strict=True):
            node.node.set_content(as_data(passage.text))
        return new

    return _make(assemble)


def _make(process: Process) -> BaseNodePostprocessor:
    from llama_index.core.postprocessor.types import BaseNodePostprocessor

    class PartPostprocessor(BaseNodePostprocessor):  # type: ignore[misc]
        """A part as llama-index takes it."""

        @classmethod
        def class_name(cls) -> str:
            """As llama-index shows it."""
            return "fourfold"

        def _postprocess_nodes(
            self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
        ) -> list[NodeWithScore]:
            if query_bundle is None:
                raise InputError(
                    "nodes cannot be processed without a question",
                    seen="no query bundle",
                    expected="the question that they were retrieved for",
                    hint="pass query_bundle= or query_str=",
                )
            return process(nodes, query_bundle.query_str)

    return PartPostprocessor()
