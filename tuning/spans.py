"""Where in a prompt's tokens each shown document stands."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Mapping, Sequence

from fourfold.errors import ModelError
from fourfold.passages import as_data, part_tokens
from fourfold.tuning.rows import ChatTokenizer, Draft, TuningRow

Span = tuple[int, int]


def find_spans(engine: ChatTokenizer, draft: Draft, contexts: Sequence[str]) -> tuple[Span, ...]:
    """Token positions [start, end) of each context in a draft's prompt, in order.

    A token belongs to a context if the whole of it does.

    Raises:
        ModelError: the chat template does not write the contexts as they are.
    """
    text = engine.render(draft.chat)
    offsets = engine.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)[
        "offset_mapping"
    ]
    starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
    spans: list[Span] = []
    at = 0
    reserved = [str(token) for token in engine.tokenizer.added_tokens_decoder.values() if token.special]
    for context in (part_tokens(as_data(context), reserved) for context in contexts):
        begin = text.find(context, at)
        if begin < 0:
            raise ModelError(
                "the documents cannot be found in the prompt again",
                seen=f"{context[:60]!r} is not in the text that the chat template gives",
                expected="a chat template that writes a message as it is",
                hint="set tuning.objective to sft, or name another model",
            )
        at = begin + len(context)
        spans.append((bisect.bisect_left(starts, begin), bisect.bisect_right(ends, at)))
    return tuple(spans)


def with_spans(
    engine: ChatTokenizer, rows: Sequence[TuningRow], drafts: Sequence[Draft], contexts: Mapping[str, Sequence[str]]
) -> tuple[TuningRow, ...]:
    """The rows with the spans of what their prompts show; `drafts` are theirs, `contexts` by question id."""
    return tuple(
        dataclasses.replace(row, document_spans=find_spans(engine, draft, contexts[row.question_id]))
        if row.form == "with contexts"
        else row
        for row, draft in zip(rows, drafts, strict=True)
    )
