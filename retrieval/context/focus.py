"""Focus Mode: of all the chunks found, only the sentences nearest to the question.

Source: Li et al. 2025, Enhancing Retrieval-Augmented Generation: A Study of Best Practices (arXiv 2501.07391), Focus
Mode. We differ: sentences stay with the passage they come from, in its order, so that a citation still names a chunk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from fourfold.retrieval.context.passage import Passage
from fourfold.retrieval.modules.ports import Embed

_CUT = re.compile(r"(?<=[.!?])\s+|\n{2,}")
_GAP = " … "


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """Chooses sentences by the cosine of their vectors with the question's.

    Args:
        embed_queries: of questions.
        embed_sentences: of passages.
        n_sentences: kept of a question's passages together, at least 1.
    """

    embed_queries: Embed
    embed_sentences: Embed
    n_sentences: int

    def narrow(
        self, questions: Mapping[str, str], shown: Mapping[str, Sequence[Passage]]
    ) -> dict[str, tuple[Passage, ...]]:
        """By question id, the passages with their chosen sentences alone; what has none of them goes.

        All questions and sentences are embedded in two calls. A sentence that two passages hold counts for the first.

        Args:
            questions: texts by question id.
            shown: passages by question id, best first.
        """
        names = list(shown)
        cut = {name: _sentences(shown[name]) for name in names}
        vectors = iter(self.embed_sentences([text for name in names for _, _, text in cut[name]]))
        asked = self.embed_queries([questions[name] for name in names])
        narrowed: dict[str, tuple[Passage, ...]] = {}
        for name, query in zip(names, asked, strict=True):
            scores = [float(next(vectors) @ query) for _ in cut[name]]
            best = sorted(range(len(scores)), key=lambda at: -scores[at])[: self.n_sentences]
            narrowed[name] = _kept(shown[name], [cut[name][at] for at in sorted(best)])
        return narrowed


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where each sentence of a text begins and ends; the space between belongs to none."""
    cuts = [(match.start(), match.end()) for match in _CUT.finditer(text)]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(text)]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if text[start:end].strip()]


_Sentence = tuple[int, tuple[int, int], str]


def _sentences(passages: Sequence[Passage]) -> list[_Sentence]:
    """Of each sentence the place of its passage, its span and its text, none twice."""
    seen: dict[str, _Sentence] = {}
    for place, passage in enumerate(passages):
        for start, end in sentence_spans(passage.text):
            text = passage.text[start:end]
            seen.setdefault(" ".join(text.split()), (place, (start, end), text))
    return list(seen.values())


def _kept(passages: Sequence[Passage], chosen: Sequence[_Sentence]) -> tuple[Passage, ...]:
    kept = []
    for place, passage in enumerate(passages):
        spans = [span for of, span, _ in chosen if of == place]
        if spans:
            text = passage.text[spans[0][0] : spans[0][1]]
            for (_, end), (start, stop) in pairwise(spans):
                between = passage.text[end:start]
                text += (_GAP if between.strip() else between) + passage.text[start:stop]
            kept.append(replace(passage, text=text))
    return tuple(kept)
