"""Documents that changed after tuning: what became of each question's evidence, and which answers are stale.

The question of CIT (Zhang et al. 2024, arXiv 2404.01652, section 1: a reader trained on one Wikipedia and asked on a
later one) on the user's own documents, and mechanically: evidence is stale where its quote stands in no document of the
new corpus, and an answer to such a question is stale where it still states every old key fact. A quote that was only
reworded counts as stale too, so that the rate is an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fourfold.errors import DocumentError
from fourfold.evals.metrics import key_fact_recall
from fourfold.text import squad_tokens
from fourfold.types import Block, Document, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Names of documents, in alphabetical order; `changed` have the name of one before and other bytes."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]


def find_changes(before: Iterable[Document], after: Iterable[Document]) -> Changes:
    """Compare two corpora by name and bytes; documents that could not be read are not there.

    Raises:
        DocumentError: nothing changed.
    """
    old = {document.name: document.doc_id for document in before if document.status == "read"}
    new = {document.name: document.doc_id for document in after if document.status == "read"}
    changes = Changes(
        changed=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
        removed=tuple(sorted(old.keys() - new.keys())),
        added=tuple(sorted(new.keys() - old.keys())),
    )
    if not (changes.changed or changes.removed or changes.added):
        raise DocumentError(
            "the updated corpus is the one that was tuned on",
            seen=f"{len(new)} document(s), all of them the same",
            expected="documents that changed after tuning",
            hint="name the new folder in checks.corpus_v2, or leave it out",
        )
    return changes


def find_stale(questions: Sequence[Question], blocks: Iterable[Block]) -> list[Question]:
    """The questions whose quote stands in no document of the new corpus, whatever its spaces, case and punctuation.

    Questions that nothing answered before have no evidence to go stale.
    """
    texts: dict[str, list[str]] = {}
    for block in blocks:
        texts.setdefault(block.doc_id, []).append(block.text)
    held = [_plain("\n".join(parts)) for parts in texts.values()]
    asked = [question for question in questions if question.answerable is not False]
    return [question for question in asked if not any(_plain(question.quote) in text for text in held)]


def states_old(answer: str, question: Question) -> bool:
    """Whether an answer still states every key fact of the old reference."""
    return key_fact_recall(answer, question) == 1.0


def _plain(text: str) -> str:
    """Padded, so that words are found whole."""
    return f" {' '.join(squad_tokens(text))} "
