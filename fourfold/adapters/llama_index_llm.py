"""The language-model port as a llama-index LLM, for a pipeline that is built there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Never

from fourfold.adapters.single import Single
from fourfold.errors import ModelError
from fourfold.llm.port import Adapter, Chat, Engine, Message, RawCompletion

if TYPE_CHECKING:
    from llama_index.core.llms import LLM, ChatMessage

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
}


def as_llama_index_llm(
    engine: Engine,
    *,
    adapter: Adapter | None = None,
    max_tokens: int = 256,
    context_window: int | None = None,
    concurrent: bool = False,
    name: str = "fourfold",
) -> LLM:
    """A llama-index LLM that answers through an engine: greedily, by the model's own chat template.

    Nothing is stored. Streams yield the whole answer once.

    Args:
        engine: what answers.
        adapter: applied to every answer.
        max_tokens: an answer's limit; a call's own `max_tokens` goes before it.
        context_window: tokens of prompt and answer; needed where the engine does not know it.
        concurrent: whether the engine may be asked by several threads at once, as one behind an endpoint may.
        name: what llama-index shows of the model.

    Raises:
        ModelError: nobody says how long the context is.
    """
    window = engine.context_tokens if context_window is None else context_window
    if window is None:
        raise ModelError(
            "the model's context length is unknown",
            seen="an endpoint, and no context_window",
            expected="tokens of prompt and answer together, by which llama-index packs passages",
            hint="pass context_window=",
        )
    single = Single(engine=engine, adapter=adapter, max_tokens=max_tokens, concurrent=concurrent)
    return _make(single, window, name)


def _make(single: Single, window: int, name: str) -> LLM:  # noqa: C901 (one class, whose base is imported lazily)
    from llama_index.core.base.llms.types import ChatResponse, CompletionResponse, LLMMetadata, MessageRole
    from llama_index.core.llms import ChatMessage, CustomLLM
    from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback

    def answer(messages: Sequence[ChatMessage], options: dict[str, Any]) -> ChatResponse:
        done = _complete(single, _as_chat(messages), options)
        return ChatResponse(
            message=ChatMessage(role=MessageRole.ASSISTANT, content=done.text),
            delta=done.text,
            additional_kwargs=_counts(done),
        )

    def complete(prompt: str, options: dict[str, Any]) -> CompletionResponse:
        done = _complete(single, (Message(role="user", content=prompt),), options)
        return CompletionResponse(text=done.text, delta=done.text, additional_kwargs=_counts(done))

    class PortLLM(CustomLLM):  # type: ignore[misc]
        """The port as llama-index takes it."""

        @classmethod
        def class_name(cls) -> str:
            """As llama-index shows it."""
            return "fourfold"

        @property
        def metadata(self) -> LLMMetadata:
            """What llama-index plans its prompts by."""
            return LLMMetadata(context_window=window, num_output=single.max_tokens, is_chat_model=True, model_name=name)

        @llm_chat_callback()  # type: ignore[untyped-decorator]
        def chat(self, messages: Sequence[ChatMessage], **options: Any) -> ChatResponse:
            return answer(messages, options)

        @llm_chat_callback()  # type: ignore[untyped-decorator]
        def stream_chat(self, messages: Sequence[ChatMessage], **options: Any) -> Iterator[ChatResponse]:
            return (
                ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), delta=part)
                for text, part in _stream(single, _as_chat(messages), options)
            )

        @llm_chat_callback()  # type: ignore[untyped-decorator]
        async def achat(self, messages: Sequence[ChatMessage], **options: Any) -> ChatResponse:
            return await asyncio.to_thread(answer, messages, options)

        @llm_completion_callback()  # type: ignore[untyped-decorator]
        def complete(self, prompt: str, **options: Any) -> CompletionResponse:
            return complete(prompt, options)

        @llm_completion_callback()  # type: ignore[untyped-decorator]
        def stream_complete(self, prompt: str, **options: Any) -> Iterator[CompletionResponse]:
            chat = (Message(role="user", content=prompt),)
            return (CompletionResponse(text=text, delta=part) for text, part in _stream(single, chat, options))

        @llm_completion_callback()  # type: ignore[untyped-decorator]
        async def acomplete(self, prompt: str, **options: Any) -> CompletionResponse:
            return await asyncio.to_thread(complete, prompt, options)

    return PortLLM()


def _complete(single: Single, chat: Chat, options: dict[str, Any]) -> RawCompletion:
    return single.complete(chat, _max_tokens(options))


def _stream(single: Single, chat: Chat, options: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What has been written so far, and the part of it that is new."""
    text = ""
    for part in single.stream(chat, _max_tokens(options)):
        text += part
        yield text, part


def _max_tokens(options: dict[str, Any]) -> int | None:
    # `formatted` says that llama-index has put a prompt's words in place; there are none of ours to add.
    others = sorted(options.keys() - {"max_tokens", "formatted"})
    if others:
        raise ModelError(
            "an option that the port does not have",
            seen=", ".join(others),
            expected="max_tokens or none: answers are decoded greedily",
            hint="leave it out of the call",
        )
    limit: int | None = options.get("max_tokens")
    return limit


def _as_chat(messages: Sequence[ChatMessage]) -> Chat:
    return tuple(_as_message(message) for message in messages)


def _as_message(message: ChatMessage) -> Message:
    role = _ROLES.get(str(message.role.value))
    others = [type(block).__name__ for block in message.blocks if type(block).__name__ != "TextBlock"]
    if role is None or others:
        _refuse(f"{', '.join(others) or 'a text'} of role {message.role.value}")
    return Message(role=role, content=message.content or "")  # type: ignore[arg-type]


def _refuse(seen: str) -> Never:
    raise ModelError(
        "a message that the port does not take",
        seen=seen,
        expected="texts of system, user and assistant",
        hint="build the llama-index pipeline without tools, pictures or sound",
    )


def _counts(done: RawCompletion) -> dict[str, Any]:
    return {
        "prompt_tokens": done.n_prompt_tokens,
        "completion_tokens": done.n_answer_tokens,
        "total_tokens": done.n_prompt_tokens + done.n_answer_tokens,
        "finish_reason": done.finish_reason,
    }
