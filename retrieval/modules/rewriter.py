"""Query Rewriter+: a question becomes (s, Q), a clearer question and several search queries.

Source: Shi et al. 2024 (ERM4, arXiv 2407.10670) and ERAGent (arXiv 2405.06683), module Query Rewriter+. We differ: one
rewritten question in place of two or three candidates, and it is searched beside its queries, so that a poor set of
queries costs recall no more than the fusion can carry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from fourfold.llm.port import Refusal
from fourfold.retrieval.modules.ports import Writer
from fourfold.retrieval.modules.prompts import rewrite_chat

# A line of a reply: 'Question: …', 'Query 2: …', '3. …', '- …', with or without Markdown's stars.
_QUESTION = re.compile(r"^[\W_]*(?:rewritten\s+|clear\s+)?question[\s*_]*:[\s*_]*(.*\w.*)$", re.IGNORECASE)
_QUERY = re.compile(r"^[\W_]*(?:search\s+)?query[\s*_]*\d*[\s*_]*:[\s*_]*(.*\w.*)$", re.IGNORECASE)
_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+(.*\w.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A question on its way: what the filter reads, what is searched (no query twice), tokens taken.

    `failure` says why it stands as it was asked; None where it was rewritten.
    """

    question: str
    queries: tuple[str, ...]
    n_tokens: int = 0
    failure: str | None = None


class _JsonReply(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    question: str
    queries: list[str]


class Rewriter:
    """Rewrites questions with a language model: as it is, or with the adapter that `write` brings along.

    Args:
        write: the model.
        n_queries: queries wanted; of more, the first are used.
        max_tokens: tokens a reply may have.
    """

    def __init__(self, write: Writer, *, n_queries: int, max_tokens: int) -> None:
        self._write = write
        self._n_queries = n_queries
        self._max_tokens = max_tokens

    def rewrite(self, questions: Sequence[str]) -> list[Rewritten]:
        """All questions in one call; one that cannot be rewritten stays as it is and says why."""
        chats = [rewrite_chat(question, self._n_queries) for question in questions]
        replies = self._write(chats, max_tokens=self._max_tokens)
        found = []
        for question, reply in zip(questions, replies, strict=True):
            if isinstance(reply, Refusal):
                found.append(unchanged(question, failure=reply.reason))
                continue
            parsed = parse_reply(reply.text, self._n_queries)
            if parsed is None:
                reason = f"the reply holds no question with queries: {reply.text[:80]!r}"
                found.append(unchanged(question, n_tokens=reply.n_tokens, failure=reason))
            else:
                new, queries = parsed
                unique = tuple(dict.fromkeys([new, *queries]))
                found.append(Rewritten(question=new, queries=unique, n_tokens=reply.n_tokens))
        return found


def unchanged(question: str, *, n_tokens: int = 0, failure: str | None = None) -> Rewritten:
    """The question as it was asked, and its own only query."""
    return Rewritten(question=question, queries=(question,), n_tokens=n_tokens, failure=failure)


def parse_reply(text: str, n_queries: int) -> tuple[str, tuple[str, ...]] | None:
    """Question and at most `n_queries` queries of a reply; None where it lacks either.

    Reads lines ('Question: …', 'Query: …', numbered or bulleted ones) and a JSON object with `question` and `queries`.
    """
    as_json = _parse_json(text)
    question, queries = as_json if as_json is not None else _parse_lines(text)
    clean = tuple(dict.fromkeys(" ".join(query.split()) for query in queries if query.strip()))[:n_queries]
    return (" ".join(question.split()), clean) if question.strip() and clean else None


def format_reply(question: str, queries: Sequence[str]) -> str:
    """The reply that the prompt asks for."""
    return "\n".join([f"Question: {question}", *(f"Query: {query}" for query in queries)])


def _parse_json(text: str) -> tuple[str, list[str]] | None:
    start, end = text.find("{"), text.rfind("}")
    try:
        reply = _JsonReply.model_validate(json.loads(text[start : end + 1])) if 0 <= start < end else None
    except (ValueError, ValidationError, RecursionError):
        return None
    return None if reply is None else (reply.question, reply.queries)


def _parse_lines(text: str) -> tuple[str, list[str]]:
    question, queries = "", []
    for line in text.splitlines():
        if (match := _QUESTION.match(line)) is not None:
            question = question or match[1].strip().strip('"*')
        elif (match := _QUERY.match(line) or _ITEM.match(line)) is not None:
            queries.append(match[1].strip().strip('"*'))
    return question, queries
