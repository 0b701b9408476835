"""Training rows of the tuned rewriter, built from the study's own tuning questions.

The paper's rows were written by a larger model. Here a query is worth learning if it finds: candidates (what a model
proposed, and what the question's own gold yields without a model) are kept where the study's index gives the gold for
them, best rank first. No test question has a part in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fourfold.retrieval.modules.rewriter import format_reply
from fourfold.text import squad_tokens
from fourfold.types import Question

# What a search has no use for; the articles are gone after the normalisation.
_ASKING = frozenset(
    [
        "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "is", "are", "was", "were", "be", "do",
        "does", "did", "can", "could", "should", "would", "will", "of", "in", "on", "at", "to", "for", "from", "by",
        "with", "and", "or", "that", "this", "it", "its",
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteExample:
    """A tuning question and the reply that is learnt."""

    question_id: str
    question: str
    reply: str


def gold_candidates(question: Question) -> tuple[str, ...]:
    """Queries that a question's own record yields: its keywords, with its lowest heading, with its document."""
    keywords = " ".join(dict.fromkeys(word for word in squad_tokens(question.question) if word not in _ASKING))
    if not keywords:
        return ()
    heading = question.section[-1] if question.section else ""
    document = question.document.rsplit(".", 1)[0].replace("_", " ").replace("-", " ")
    wanted = [keywords, f"{heading} {keywords}".strip(), f"{document} {keywords}".strip()]
    return tuple(query for query in dict.fromkeys(wanted) if query != question.question)


def build_examples(
    questions: Sequence[Question],
    candidates: Mapping[str, Sequence[str]],
    gold_ranks: Mapping[tuple[str, str], int | None],
    *,
    n_queries: int,
) -> tuple[RewriteExample, ...]:
    """A row for each question with a candidate that finds its gold; the question itself is learnt unchanged.

    Args:
        questions: tuning questions, whose wording already stands alone.
        candidates: per question id, queries to choose from.
        gold_ranks: per (question id, query), the rank from 1 at which the gold was found; None where it was not.
        n_queries: at most so many in a row.
    """
    examples = []
    for question in questions:
        own = {query: gold_ranks[question.question_id, query] for query in candidates.get(question.question_id, ())}
        found = sorted((rank, at, query) for at, (query, rank) in enumerate(own.items()) if rank is not None)
        if found:
            reply = format_reply(question.question, [query for _, _, query in found[:n_queries]])
            examples.append(RewriteExample(question_id=question.question_id, question=question.question, reply=reply))
    return tuple(examples)
