"""What is read of a server's replies. Unknown fields are left aside: every server adds some of its own."""

from __future__ import annotations

import codecs
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from fourfold.errors import ModelError
from fourfold.llm.endpoint.faults import PassingError, RefusedError, not_openai
from fourfold.llm.port import RawCompletion

_SHOWN = 200


class Usage(BaseModel):
    """Tokens that the server counted."""

    prompt_tokens: int
    completion_tokens: int


class TokenLogprob(BaseModel):
    """One token's natural log-probability."""

    logprob: float


class Logprobs(BaseModel):
    """Of the answer's tokens, in order."""

    content: list[TokenLogprob] | None = None


class ReplyMessage(BaseModel):
    """The assistant's turn. `refusal` holds its words where a hosted model declines."""

    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    """One answer."""

    message: ReplyMessage
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class ErrorBody(BaseModel):
    """What went wrong, in the server's words."""

    message: str = ""
    type: str | None = None
    code: str | int | None = None


class ChatReply(BaseModel):
    """Of `/chat/completions`. Some gateways answer 200 and put an error in the body.

    `model` is the one that answered, by the server's own name for it.
    """

    model: str | None = None
    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: ErrorBody | str | None = None


class Delta(BaseModel):
    """What a streamed part adds."""

    content: str | None = None


class PartChoice(BaseModel):
    """One streamed part of one answer."""

    delta: Delta = Delta()
    finish_reason: str | None = None


class Part(BaseModel):
    """One event of a streamed reply."""

    choices: list[PartChoice] = []
    error: ErrorBody | str | None = None


class ModelMeta(BaseModel):
    """What llama.cpp's server says of a model: weights' count, their file's bytes, the context it serves."""

    n_params: int | None = None
    size: int | None = None
    n_ctx: int | None = None


class ListedModel(BaseModel):
    """One entry of `/models`.

    `root` and `max_model_len` are vLLM's: weights behind the name, and served context. `aliases` are llama.cpp's.
    """

    id: str
    aliases: list[str] = []
    root: str | None = None
    max_model_len: int | None = None
    meta: ModelMeta | None = None


class ModelList(BaseModel):
    """Of `/models`."""

    data: list[ListedModel]


Shape = TypeVar("Shape", bound=BaseModel)


def read_as(shape: type[Shape], body: bytes, *, charset: str | None, url: str) -> Shape:
    """A reply's body as the given shape.

    Args:
        shape: what is expected.
        body: bytes of the reply.
        charset: that its Content-Type names; None: UTF-8, as JSON is.
        url: where it comes from.

    Raises:
        PassingError: the body breaks off.
        RefusedError: it is in an encoding that cannot be read without guessing.
        ModelError: it is no JSON, or JSON of another shape.
    """
    text = _decode(body, charset or "utf-8")
    try:
        return shape.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] != "json_invalid":
            where = ".".join(str(part) for part in first["loc"])
            raise not_openai(url, f"{where}: {first['msg']}, in {_start(text)}") from None
        if text.lstrip()[:1] in {"{", ""}:
            raise PassingError(f"the reply breaks off after {len(body)} bytes") from None
        raise not_openai(url, f"no JSON: {_start(text)}") from None


def read_completion(reply: ChatReply, url: str) -> RawCompletion:
    """An answer as the port gives it.

    Its `logprobs` are those that the server tells: some leave out the end token that they count.

    Raises:
        PassingError: the reply holds no answer.
        RefusedError: the answer ended for another reason than its end or its length.
        ModelError: not a reply to a chat, or one without token counts.
    """
    if reply.error is not None:
        raise PassingError(f"an error in the reply: {words_of(reply.error)}")
    if reply.choices is None:
        raise not_openai(url, "a reply without choices")
    if not reply.choices:
        raise PassingError("the reply holds no choices")
    choice = reply.choices[0]
    if choice.finish_reason not in {"stop", "length"}:
        raise RefusedError(f"the server ended the answer with {choice.finish_reason!r}")
    if reply.usage is None:
        raise ModelError(
            "the endpoint does not count tokens",
            seen=f"{url}: a reply without usage",
            expected="usage.prompt_tokens and usage.completion_tokens: without them no answer has a cost",
            hint="switch usage on at the server or gateway, or name another endpoint",
        )
    told = choice.logprobs.content if choice.logprobs else None
    return RawCompletion(
        text=(choice.message.content or choice.message.refusal or "").strip(),
        token_ids=None,
        logprobs=tuple(token.logprob for token in told) if told else None,
        n_prompt_tokens=reply.usage.prompt_tokens,
        n_answer_tokens=reply.usage.completion_tokens,
        finish_reason="stop" if choice.finish_reason == "stop" else "length",
    )


def words_of(error: ErrorBody | str) -> str:
    """An error's message with its code or type, on one line."""
    if isinstance(error, str):
        return _start(error)
    kinds = [str(kind) for kind in (error.type, error.code) if kind]
    return _start(error.message) + (f" ({', '.join(kinds)})" if kinds else "")


def said_in(body: bytes) -> str:
    """The server's words in the body of a refused request, whatever its form.

    OpenAI's servers write {"error": {"message": …}}, others {"error": "…"}, {"message": …} or {"detail": …}.
    """
    text = body.decode("utf-8", errors="replace")
    try:
        shape = _AnyError.model_validate_json(text)
    except ValidationError:
        return _start(text) or "no words"
    if shape.error is not None:
        return words_of(shape.error)
    return _start(shape.message or shape.detail or text)


class _AnyError(BaseModel):
    error: ErrorBody | str | None = None
    message: str | None = None
    detail: str | None = None


def _decode(body: bytes, charset: str) -> str:
    try:
        decoder = codecs.lookup(charset)
    except LookupError:
        raise RefusedError(f"the reply is in an unknown encoding, {charset!r}") from None
    try:
        return decoder.decode(body)[0]
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            raise PassingError(f"the reply breaks off after {len(body)} bytes") from None
        raise RefusedError(f"the reply is not in {charset}: byte 0x{body[error.start]:02x} at {error.start}") from None


def _start(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + " …"
