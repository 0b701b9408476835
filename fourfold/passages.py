r"""Passages as data: a retrieved text can end neither its passage nor its turn.

A PDF may hold the marks by which a prompt tells its parts apart, by chance or on purpose. Such a mark is changed by one
character, so that people and models still read what the document says and no tokenizer or template takes it for its
own. A text without them stays as it is, byte for byte. What a text *asks for* in words is not seen here: that shift is
measured (`evals.injection`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Tokens by which the chat templates of common families open and close turns: ChatML, Llama 3, Phi and GPT-OSS (<|…|>),
# DeepSeek (<｜…｜>), Llama 2 and Mistral ([INST], <<SYS>>), Gemma (<start_of_turn>); and the ends of a text.
_CHAT_TOKEN = re.compile(
    r"<\|[^\s<>]{1,64}?\|>|<｜[^\s<>]{1,64}?｜>|</?s>|<<(?=/?SYS>>)|\[(?:/?INST|/?SYSTEM_PROMPT|/?AVAILABLE_TOOLS"
    r"|/?TOOL_RESULTS|TOOL_CALLS)\]|<(?:start_of_turn|end_of_turn|bos|eos|pad|unk)>",
    re.IGNORECASE,
)
# A line that begins as a part of our prompt does, or as a turn of a template without tokens (Vicuna, Alpaca).
_LINE = re.compile(
    r"(?P<before>\A|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])"
    # Spaces and characters of no width.
    r"(?P<mark>(?:(?![\n\r\v\f\x1c-\x1e\x85\u2028\u2029])\s|[\u200b-\u200f\u2060\ufeff])*(?:\[\d+\]"
    r"|(?i:passages?|question|example question|(?:in)?correct answer)\s*:"
    r"|(?:USER|ASSISTANT|SYSTEM|Human|Assistant)\s*:"
    r"|\#{2,}\s*(?i:system|user|human|assistant|instruction|input|response)\b))"
)


def as_data(text: str) -> str:
    """A passage as a prompt shows it: `<|im_end|>` becomes `< |im_end|>`, a line `Question: …` `> Question: …`.

    Done twice it changes nothing more.
    """
    parted = _CHAT_TOKEN.sub(lambda match: _parted(match[0]), text)
    return _LINE.sub(lambda match: f"{match['before']}> {match['mark']}", parted)


def part_tokens(text: str, tokens: Iterable[str]) -> str:
    """Texts that a tokenizer takes for one of its special tokens, parted after their first character.

    Args:
        text: of a message.
        tokens: the tokenizer's; those of one character or blank cannot be parted and are left alone.
    """
    marks = sorted({token for token in tokens if len(token) > 1 and token.strip()}, key=len, reverse=True)
    if not marks:
        return text
    pattern = re.compile("|".join(re.escape(mark) for mark in marks))
    # Again, where two of them overlap.
    while pattern.search(text):
        text = pattern.sub(lambda match: _parted(match[0]), text)
    return text


def _parted(mark: str) -> str:
    return f"{mark[0]} {mark[1:]}"
