"""Answers held to a JSON schema, by servers that decode so."""

from __future__ import annotations

import json
from collections.abc import Mapping

from fourfold.errors import ModelError
from fourfold.llm.port import RawCompletion


def response_format(schema: Mapping[str, object]) -> dict[str, object]:
    """What the request says: OpenAI, vLLM, Ollama and llama.cpp's server know this form."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": dict(schema)}}


def has_no_guided(reason: str) -> bool:
    """Whether a refusal says that the server does not hold answers to a schema."""
    return any(word in reason for word in ("response_format", "json_schema", "guided", "grammar"))


def no_guided(model: str, seen: str) -> ModelError:
    """The server does not hold answers to a schema."""
    return ModelError(
        "the endpoint does not hold answers to a JSON schema",
        seen=f"{model}: {seen}",
        expected="a server with response_format json_schema: vLLM, Ollama, llama.cpp's server, some hosted models",
        hint="name such a server, or ask for plain text",
    )


def require_json(answer: RawCompletion, model: str) -> None:
    """Some servers pass over response_format without a word; a whole answer that is no JSON gives them away.

    Raises:
        ModelError: the answer ended by itself and is no JSON.
    """
    if answer.finish_reason == "length":
        return
    try:
        json.loads(answer.text)
    except ValueError:
        raise no_guided(model, f"an answer that is no JSON: {answer.text[:100]!r}") from None
