"""The language-model port as a ragas LLM, so that a ragas metric asks a model of the study."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from fourfold.adapters.single import Single
from fourfold.errors import ModelError, SystemFaultError
from fourfold.llm.port import Adapter, Chat, Engine, Message, RawCompletion

if TYPE_CHECKING:
    from langchain_core.outputs import LLMResult
    from langchain_core.prompt_values import PromptValue
    from ragas.llms.base import BaseRagasLLM
    from ragas.run_config import RunConfig

# langchain's names of the roles.
_ROLES: dict[str, Literal["system", "user", "assistant"]] = {"system": "system", "human": "user", "ai": "assistant"}


def as_ragas_llm(
    engine: Engine, *, adapter: Adapter | None = None, max_tokens: int = 1024, concurrent: bool = False
) -> BaseRagasLLM:
    """A ragas LLM that answers through an engine: greedily, by the model's own chat template.

    For the metrics of ragas.metrics; those of ragas.metrics.collections take clients of an endpoint instead (0.4.3).
    The temperature that ragas names is not used, and where it asks for n answers it gets the one n times: that is what
    n draws at temperature 0 are. Nothing is stored. ragas retries only what may pass.

    Args:
        engine: what answers.
        adapter: applied to every answer.
        max_tokens: an answer's limit; ragas refuses an answer that was cut there (LLMDidNotFinishException).
        concurrent: whether the engine may be asked by several threads at once, as one behind an endpoint may.

    Raises:
        ModelError: ragas is not installed.
    """
    try:
        import langchain_core.outputs  # noqa: F401 (ragas brings it)
        import ragas.llms.base  # noqa: F401
    except ImportError as error:
        raise ModelError(
            "ragas is not installed",
            seen=error,
            expected="ragas 0.4.3 with langchain-community under 0.4, which has what ragas imports",
            hint="pip install 'fourfold[ragas]'",
        ) from error
    return _make(Single(engine=engine, adapter=adapter, max_tokens=max_tokens, concurrent=concurrent))


def _make(single: Single) -> BaseRagasLLM:
    from langchain_core.outputs import Generation, LLMResult
    from ragas.llms.base import BaseRagasLLM
    from ragas.run_config import RunConfig

    class PortRagasLLM(BaseRagasLLM):  # type: ignore[misc]
        """The port as ragas takes it."""

        def __init__(self) -> None:
            super().__init__()
            self.set_run_config(RunConfig())

        def set_run_config(self, run_config: RunConfig) -> None:
            """As every metric does to its model."""
            self.run_config = dataclasses.replace(run_config, exception_types=(SystemFaultError,))

        def generate_text(
            self,
            prompt: PromptValue,
            n: int = 1,
            temperature: float | None = None,  # noqa: ARG002 (decoded greedily)
            stop: list[str] | None = None,
            callbacks: Any = None,  # noqa: ARG002 (langchain's, for its own models)
        ) -> LLMResult:
            """The answer, n times."""
            done = single.complete(_as_chat(prompt))
            text, finish_reason = _cut(done, stop or ())
            return LLMResult(
                generations=[[Generation(text=text, generation_info={"finish_reason": finish_reason})] * n]
            )

        async def agenerate_text(
            self,
            prompt: PromptValue,
            n: int = 1,
            temperature: float | None = None,
            stop: list[str] | None = None,
            callbacks: Any = None,
        ) -> LLMResult:
            """The same, in a thread."""
            return await asyncio.to_thread(self.generate_text, prompt, n, temperature, stop, callbacks)

        def is_finished(self, response: LLMResult) -> bool:
            """Whether no answer was cut by its limit."""
            return all(one.generation_info["finish_reason"] == "stop" for some in response.generations for one in some)

    return PortRagasLLM()


def _as_chat(prompt: PromptValue) -> Chat:
    messages = prompt.to_messages()
    others = sorted({message.type for message in messages if not _is_plain(message)})
    if others:
        raise ModelError(
            "a message that the port does not take",
            seen=f"of type {', '.join(others)}",
            expected="texts of system, human and ai",
            hint="use a ragas metric that needs no tools or pictures",
        )
    return tuple(Message(role=_ROLES[message.type], content=message.content) for message in messages)


def _is_plain(message: Any) -> bool:
    return message.type in _ROLES and isinstance(message.content, str)


def _cut(done: RawCompletion, stop: Sequence[str]) -> tuple[str, str]:
    """The answer up to the first stop word; where one is found, the answer ended there."""
    ends = [done.text.index(word) for word in stop if word in done.text]
    return (done.text[: min(ends)], "stop") if ends else (done.text, done.finish_reason)
