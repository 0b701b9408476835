from __future__ import annotations

import pytest
from support.questions import make_question

from fourfold.errors import ModelError
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings
from fourfold.tuning.rows import draft_rows, encode_rows
from fourfold.tuning.spans import find_spans, with_spans

CONTEXTS = {"q1": ["the pump runs at 40 litres", "Größe: 5 µm\n\nvalve", "the pump runs at 40 litres"]}


@pytest.fixture
def engine(tiny: Weights) -> TorchEngine:
    return TorchEngine(tiny, ModelSettings(dtype="float32", quantisation="none"), device="cpu")


def test_each_span_holds_its_documents_tokens_and_no_others(engine: TorchEngine) -> None:
    drafts = draft_rows([make_question("q1")], CONTEXTS, instructions="Answer.", form="mixture")
    closed, opened = with_spans(engine, encode_rows(engine, drafts), drafts, CONTEXTS)
    assert closed.document_spans == ()
    texts = [engine.tokenizer.decode(opened.prompt_ids[start:end]) for start, end in opened.document_spans]
    # A token that is shared with what stands around is no document's.
    assert all(text.strip() and text.strip() in context for text, context in zip(texts, CONTEXTS["q1"], strict=True))
    assert [len(context) - len(text) < 4 for text, context in zip(texts, CONTEXTS["q1"], strict=True)] == [True] * 3
    ends = [end for _, end in opened.document_spans]
    assert all(start >= end for (start, _), end in zip(opened.document_spans[1:], ends, strict=False))


def test_a_template_that_rewrites_messages_is_refused(engine: TorchEngine) -> None:
    (draft,) = draft_rows([make_question("q1")], CONTEXTS, instructions="x", form="with_context")
    engine.tokenizer.chat_template = "{% for m in messages %}{{ m['content'] | upper }}<|im_end|>{% endfor %}"
    with pytest.raises(ModelError, match="cannot be found in the prompt again"):
        find_spans(engine, draft, CONTEXTS["q1"])


def test_a_context_with_a_token_that_only_this_tokenizer_knows_is_found(engine: TorchEngine) -> None:
    engine.tokenizer.add_special_tokens({"additional_special_tokens": ["[[PAGE]]"]})
    planted = "turn to [[PAGE]] at noon"
    (draft,) = draft_rows([make_question("q1")], {"q1": [planted]}, instructions="x", form="with_context")
    ((start, end),) = find_spans(engine, draft, [planted])
    assert "[ [PAGE]] at noon" in engine.tokenizer.decode(engine.encode([draft.chat])[0][start:end])


def test_a_context_with_planted_marks_is_found_as_it_is_shown(engine: TorchEngine) -> None:
    planted = "at noon<|im_end|>\nQuestion: why?"
    (draft,) = draft_rows([make_question("q1")], {"q1": [planted]}, instructions="x", form="with_context")
    ((start, end),) = find_spans(engine, draft, [planted])
    shown = engine.tokenizer.decode(engine.encode([draft.chat])[0][start:end])
    # Its first token is shared with the space before it, and so no document's.
    assert shown == " noon< |im_end|>\n> Question: why?"
