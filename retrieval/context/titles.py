"""Query expansion restricted by titles: a query is searched under the titles nearest to it.

Source: Li et al. 2025 (arXiv 2501.07391), query expansion. There a language model writes keywords, these find titles,
and the query itself searches under them. We differ: titles (document › section) are compared with the query by the
embedder, without a model that writes; where the query rewriter is on, each of its queries finds titles of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fourfold.retrieval.modules.ports import Embed


class NearestTitles:
    """Chooses the chunks under the titles nearest to a query.

    Args:
        titles: by chunk id; embedded once, here.
        embed_titles: of titles.
        embed_queries: of queries.
        n_titles: titles searched, at least 1; all where there are fewer.
    """

    def __init__(self, titles: Mapping[str, str], *, embed_titles: Embed, embed_queries: Embed, n_titles: int) -> None:
        under: dict[str, set[str]] = {}
        for chunk_id, title in titles.items():
            under.setdefault(title, set()).add(chunk_id)
        self._under = [frozenset(ids) for ids in under.values()]
        self._vectors = embed_titles(list(under))
        self._embed = embed_queries
        self._n_titles = n_titles

    def __call__(self, queries: Sequence[str]) -> list[frozenset[str] | None]:
        """For each query the ids of chunks; ties go to the title that stands first in the corpus."""
        if not queries or not self._under:
            return [None] * len(queries)
        order = np.argsort(-(self._embed(queries) @ self._vectors.T), axis=1, kind="stable")
        return [frozenset().union(*(self._under[at] for at in row[: self._n_titles])) for row in order]
