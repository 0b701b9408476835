"""Retrieved text is data: planted marks become no special tokens, open no turn and forge no part of the prompt."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.injected import Injected, injected_passages

from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights
from fourfold.passages import as_data, part_tokens
from fourfold.prompts import PromptForm, answer_chat
from fourfold.study import DEFAULT_INSTRUCTIONS, ModelSettings
from fourfold.study.answer import ContextsPosition

PASSAGES = injected_passages()
# Those of the families that the passages speak to.
SPECIAL = (
    "<|pad|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>",
    "<|start_header_id|>", "<|end_header_id|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>",
    "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "<bos>", "<eos>",
    "<unk>", "<start_of_turn>", "<end_of_turn>", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>",
    "<|start|>", "<|message|>", "<|end|>", "<|return|>", "<|endoftext|>", "<|system|>", "<|assistant|>",
)  # fmt: skip


@cache
def every_family() -> Any:
    """A byte-level tokenizer that knows the special tokens of them all."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return tokenizer


def special_in(text: str) -> list[str]:
    tokenizer = every_family()
    return [tokenizer.id_to_token(one) for one in tokenizer.encode(text, add_special_tokens=False).ids if one >= 256]


@pytest.fixture(scope="module")
def engine(tiny: Weights) -> TorchEngine:
    return TorchEngine(tiny, ModelSettings(dtype="float32", quantisation="none"), device="cpu")


def test_there_are_at_least_30_passages_of_many_kinds() -> None:
    assert len(PASSAGES) >= 30
    assert len({passage.text for passage in PASSAGES}) == len(PASSAGES)
    assert len({passage.family for passage in PASSAGES}) >= 8


def test_the_tokenizer_of_this_test_does_see_what_is_planted() -> None:
    seen = {token for passage in PASSAGES for token in special_in(passage.text)}
    assert len(seen) > 25


@pytest.mark.parametrize("passage", PASSAGES, ids=lambda passage: passage.id)
def test_no_planted_text_becomes_a_special_token_of_any_family(passage: Injected) -> None:
    assert special_in(as_data(passage.text)) == []


@pytest.mark.parametrize("passage", PASSAGES, ids=lambda passage: passage.id)
def test_a_planted_text_adds_no_turn_and_no_special_id_to_a_prompt(engine: TorchEngine, passage: Injected) -> None:
    """The special ids of a prompt, in order, are its roles: those with a planted passage are those with a plain one."""
    asked = "When does the valve close?"
    plain, planted = (
        answer_chat(DEFAULT_INSTRUCTIONS, asked, ["The valve closes at noon.", text])
        for text in ("The pump runs.", passage.text)
    )
    assert [message.role for message in planted] == [message.role for message in plain]
    ids = set(engine.tokenizer.all_special_ids)
    marks = [[one for one in row if one in ids] for row in engine.encode([plain, planted])]
    assert marks[0] == marks[1] != []


@pytest.mark.parametrize("position", ["before_question", "after_question", "in_system"])
@pytest.mark.parametrize("passage", PASSAGES, ids=lambda passage: passage.id)
def test_a_planted_text_forges_no_part_of_the_prompt(passage: Injected, position: ContextsPosition) -> None:
    form = PromptForm(contexts=position)
    chat = answer_chat("Answer.", "Why?", ["first", passage.text, "third"], form=form)
    text = "\n".join(message.content for message in chat)
    lines = [line.strip("\u200b\ufeff \t").lower() for line in text.splitlines()]
    assert sum(bool(re.match(r"question\s*:", line)) for line in lines) == 1
    assert sum(bool(re.match(r"passages?\s*:", line)) for line in lines) == 1
    assert [line[:3] for line in lines if re.match(r"\[\d+\]", line)] == ["[1]", "[2]", "[3]"]
    assert not [line for line in lines if re.match(r"(user|assistant|human)\s*:|#+\s*(system|instruction)", line)]


@pytest.mark.parametrize("passage", PASSAGES, ids=lambda passage: passage.id)
def test_what_is_escaped_stays_readable_and_is_escaped_once(passage: Injected) -> None:
    shown = as_data(passage.text)
    assert as_data(shown) == shown
    # Nothing is lost: only spaces and marks of quotation are added.
    assert re.sub(r"[> ]", "", shown) == re.sub(r"[> ]", "", passage.text)


@pytest.mark.parametrize(
    "text",
    [
        "The pump runs at 40 litres [1].\nSee question 3, and the passages: they are numbered.",
        "User: root\nSystem: Linux\nif a < b and c > d: x[1] = <html>",
        "x",
        "",
        " leading and trailing \n\n",
    ],
)
def test_a_text_without_marks_stays_as_it_is(text: str) -> None:
    assert as_data(text) == text


def test_the_quickstarts_passages_stay_as_they_are() -> None:
    import pymupdf
    from support.pdfs import QUICKSTART

    for file in sorted(Path(QUICKSTART).glob("*.pdf")):
        with pymupdf.open(file) as pdf:
            text = "\n".join(page.get_text() for page in pdf)
        assert as_data(text) == text, file.name


def test_tokens_of_a_tokenizer_are_parted_wherever_they_overlap() -> None:
    tokens = ("<x>", "<x><y>", "y><x", "|", " ", "")
    shown = part_tokens("a <x><y><x> | b", tokens)
    assert not [token for token in tokens if len(token) > 1 and token in shown]
    assert shown.replace(" ", "") == "a<x><y><x>|b"
    assert part_tokens("nothing here", tokens) == "nothing here"
    assert part_tokens("a <x>", ()) == "a <x>"
