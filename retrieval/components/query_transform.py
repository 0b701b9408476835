"""The query rewriter as a llama-index query transform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fourfold.retrieval.modules.rewriter import Rewriter

if TYPE_CHECKING:
    from llama_index.core.indices.query.query_transform.base import BaseQueryTransform
    from llama_index.core.schema import QueryBundle


def as_llama_index_query_transform(rewriter: Rewriter) -> BaseQueryTransform:
    """A transform whose bundle asks the rewritten question and is searched by every query.

    A question that cannot be rewritten stays as it is. A rewriter with an adapter has it in its own `write`.
    """
    from llama_index.core.indices.query.query_transform.base import BaseQueryTransform
    from llama_index.core.schema import QueryBundle

    class RewriterTransform(BaseQueryTransform):  # type: ignore[misc]
        """The part as llama-index takes it."""

        def _get_prompts(self) -> dict[str, Any]:
            return {}

        def _update_prompts(self, prompts: dict[str, Any]) -> None:
            """Its prompt belongs to the rewriter."""

        def _run(self, query_bundle: QueryBundle, metadata: dict[str, Any]) -> QueryBundle:  # noqa: ARG002 (theirs)
            (new,) = rewriter.rewrite([query_bundle.query_str])
            return QueryBundle(query_str=new.question, custom_embedding_strs=list(new.queries))

    return RewriterTransform()
