"""What happened to one question on its way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalTrace:
    """The path of one question.

    Args:
        question_id: of the question.
        question: as the filter read it: rewritten, or as it was asked.
        queries: looked up in memory, where there is one, and searched where the trigger said so.
        searched: those of `queries` for which the index was asked.
        n_outside: chunks that the index gave for them, repeats counted.
        remembered: ids of the chunks that memory gave.
        dropped: ids of the chunks that the filter dropped.
        failures: what went wrong, each with the module's name before it. A question that was not rewritten is searched
            as it stands; a passage that was not judged is kept.
        n_tokens: what rewriting and filtering took of the language model, prompt and answer tokens.
    """

    question_id: str
    question: str
    queries: tuple[str, ...]
    searched: tuple[str, ...]
    n_outside: int
    remembered: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    n_tokens: int = 0
