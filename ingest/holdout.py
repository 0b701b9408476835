"""Documents and sections that tuning is not to see: the stratum "document unseen", and sections never asked about."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from fourfold.errors import QuestionError
from fourfold.ingest.candidates import ASKED, Candidate
from fourfold.study import HoldoutSettings
from fourfold.types import Block, Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """What tuning and validation questions are not written about.

    Args:
        doc_ids: documents held out whole.
        sections: (document id, section path) of sections of other documents.
    """

    doc_ids: frozenset[str] = frozenset()
    sections: frozenset[tuple[str, tuple[str, ...]]] = frozenset()

    def skips(self, candidate: Candidate) -> bool:
        """Whether a sentence is held out."""
        return candidate.doc_id in self.doc_ids or (candidate.doc_id, candidate.section) in self.sections


def choose_holdout(
    documents: Sequence[Document],
    blocks: Iterable[Block],
    settings: HoldoutSettings | None,
    *,
    seed: int,
    dates: Mapping[str, date | None] = MappingProxyType({}),
) -> Holdout:
    """What a study holds out: documents by name and date, a share drawn from the others, and matching sections.

    A document of which every section matches is held out whole. The index still covers all: rag answers from what
    tuning has not seen.

    Args:
        documents: of the corpus.
        blocks: of the corpus.
        settings: None holds nothing out.
        seed: of the draw.
        dates: per document id its date; used where the settings name one.

    Raises:
        QuestionError: a named document is not in the corpus or could not be read, no section or date matches, or
            nothing is left to tune on.
    """
    if settings is None:
        return Holdout()
    names = {document.name: document.doc_id for document in documents if document.status == "read"}
    strangers = [name for name in settings.documents if name not in names]
    if strangers:
        raise _error(f"not among the documents that were read: {', '.join(strangers)}", f"names of {', '.join(names)}")
    held = {names[name] for name in settings.documents}
    if settings.since is not None:
        new = {doc_id for doc_id in names.values() if (day := dates.get(doc_id)) and day >= settings.since}
        if not new:
            raise _error(f"no document is dated {settings.since} or later", "a date that finds a document")
        held |= new
    if settings.share is not None:
        others = sorted(set(names.values()) - held)
        # A share that rounds to nothing would hold nothing out without saying so.
        n_drawn = min(max(1, round(settings.share * len(names))), len(others))
        held |= set(random.Random(seed).sample(others, n_drawn))  # noqa: S311 (a draw, not a secret)
    sections: set[tuple[str, tuple[str, ...]]] = set()
    if settings.sections is not None:
        pattern = re.compile(settings.sections)
        every = {(block.doc_id, block.section) for block in blocks if block.kind in ASKED}
        sections = {place for place in every if any(pattern.search(heading) for heading in place[1])}
        if not sections:
            raise _error(f"no section's heading matches {settings.sections!r}", "a pattern that finds a heading")
        held |= {doc_id for doc_id, _ in every} - {doc_id for doc_id, _ in every - sections}
    if held >= set(names.values()):
        raise _error(f"all {len(names)} documents are held out", "at least one document to tune on")
    return Holdout(doc_ids=frozenset(held), sections=frozenset(place for place in sections if place[0] not in held))


def _error(seen: str, expected: str) -> QuestionError:
    return QuestionError(
        "questions.holdout does not fit the corpus", seen=seen, expected=expected, hint="correct questions.holdout"
    )
