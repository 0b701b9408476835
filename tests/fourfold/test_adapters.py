"""The ports inside llama-index and ragas: their own engines and metrics, on the tiny model."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tiny import make_tiny_model

from fourfold.adapters.llama_index_embedding import as_llama_index_embedding
from fourfold.adapters.llama_index_llm import as_llama_index_llm
from fourfold.adapters.ragas_llm import as_ragas_llm
from fourfold.adapters.single import Single
from fourfold.embed.prompts import Prompts
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.errors import ModelError, SystemFaultError
from fourfold.llm.port import Adapter, Chat, Message, Prompt, RawCompletion, Refusal, Sampling, Scored
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import find_embedder, find_language_model
from fourfold.study import ModelSettings

PLAIN = ModelSettings(dtype="float32", quantisation="none")
PASSAGES = (
    "The pump runs at 40 litres per minute.",
    "The valve closes at noon in winter.",
    "The operator must check the gauge of the boiler.",
)


def said(*turns: tuple[str, str]) -> Chat:
    return tuple(Message(role=role, content=content) for role, content in turns)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    """A tiny model that writes words, with room for ragas' prompts, which are some thousand of its tokens."""
    folder = tmp_path_factory.mktemp("wide") / "model"
    make_tiny_model(folder, spread=0.5)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 16384}), encoding="utf-8")
    return TorchEngine(find_language_model(str(folder), folder), PLAIN, device="cpu")


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    # Not those of the model: they tell questions from passages.
    return SentenceEmbedder(find_embedder("embedded"), device="cpu", prompts=Prompts(query="query: "))


def answer_of(engine: TorchEngine, chat: Chat, *, max_tokens: int) -> RawCompletion:
    """What the port itself says."""
    return engine.complete(engine.prepare([chat]), Sampling(max_tokens=max_tokens), None)[0]


class Recording:
    """An engine that answers what it is told to, and keeps the chats that it was asked."""

    identity: Mapping[str, str] = {"engine": "recording"}

    def __init__(self, *answers: str | Exception | Refusal, context_tokens: int | None = 10_000) -> None:
        self.answers = list(answers)
        self.context_tokens = context_tokens
        self.chats: list[Chat] = []
        self.finish_reason: Any = "stop"
        self.waits: threading.Barrier | None = None
        self.met = False

    def prepare(self, chats: Sequence[Chat]) -> list[Prompt]:
        return [Prompt(chat=chat) for chat in chats]

    def complete(
        self, prompts: Sequence[Prompt], _sampling: Sampling, _adapter: Adapter | None
    ) -> list[RawCompletion | Refusal]:
        self.chats += [prompt.chat for prompt in prompts]
        if self.waits is not None:
            try:
                self.waits.wait(timeout=1)
                self.met = True
            except threading.BrokenBarrierError:
                pass
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Refusal):
            return [answer]
        return [
            RawCompletion(
                text=answer, token_ids=None, logprobs=None, n_prompt_tokens=5, n_answer_tokens=2,
                finish_reason=self.finish_reason,
            )
        ]  # fmt: skip

    def score(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]], adapter: Adapter | None
    ) -> list[tuple[Scored, ...]]:
        raise NotImplementedError


# One chat at a time


def test_a_refused_chat_is_an_error_with_the_engines_reason() -> None:
    single = Single(engine=Recording(Refusal(reason="content filter")), adapter=None, max_tokens=4)
    with pytest.raises(ModelError, match="was not asked") as error:
        single.complete(said(("user", "x")))
    assert error.value.seen == "content filter"


def test_a_chat_without_room_for_its_answer_is_an_error(engine: TorchEngine) -> None:
    single = Single(engine=engine, adapter=None, max_tokens=16384)
    with pytest.raises(ModelError, match="limit 0 with an answer of 16384"):
        single.complete(said(("user", "x")))


@pytest.mark.parametrize("concurrent", [False, True])
def test_threads_ask_an_engine_at_once_only_where_it_is_said_to_bear_it(concurrent: bool) -> None:
    recorded = Recording("x")
    recorded.waits = threading.Barrier(2)
    single = Single(engine=recorded, adapter=None, max_tokens=4, concurrent=concurrent)
    asking = [threading.Thread(target=single.complete, args=[said(("user", "x"))]) for _ in range(2)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert recorded.met is concurrent


# llama-index


def test_llama_index_chats_and_completes_with_the_engines_words(engine: TorchEngine) -> None:
    from llama_index.core.llms import ChatMessage, MessageRole

    llm = as_llama_index_llm(engine, max_tokens=8, name="tiny")
    messages = [
        ChatMessage(role=MessageRole.SYSTEM, content="Answer."), ChatMessage(content="the pump"),
        ChatMessage(role=MessageRole.ASSISTANT, content="runs"), ChatMessage(content="the valve"),
    ]  # fmt: skip
    expected = answer_of(
        engine, said(("system", "Answer."), ("user", "the pump"), ("assistant", "runs"), ("user", "the valve")),
        max_tokens=8,
    )  # fmt: skip
    assert expected.text
    response = llm.chat(messages)
    assert (response.message.role, response.message.content) == (MessageRole.ASSISTANT, expected.text)
    assert response.additional_kwargs == {
        "prompt_tokens": expected.n_prompt_tokens, "completion_tokens": expected.n_answer_tokens,
        "total_tokens": expected.n_prompt_tokens + expected.n_answer_tokens, "finish_reason": expected.finish_reason,
    }  # fmt: skip
    parts = list(llm.stream_chat(messages))
    assert len(parts) > 1
    assert "".join(part.delta for part in parts) == parts[-1].message.content == expected.text
    assert asyncio.run(llm.achat(messages)).message.content == expected.text

    alone = answer_of(engine, said(("user", "the pump")), max_tokens=8).text
    assert llm.complete("the pump").text == alone
    written = list(llm.stream_complete("the pump"))
    assert len(written) > 1
    assert "".join(part.delta for part in written) == written[-1].text == alone
    assert asyncio.run(llm.acomplete("the pump")).text == alone
    shorter = answer_of(engine, said(("user", "the pump")), max_tokens=3)
    assert llm.complete("the pump", max_tokens=3).text == shorter.text != alone


def test_llama_index_is_told_what_it_plans_its_prompts_by(engine: TorchEngine) -> None:
    metadata = as_llama_index_llm(engine, max_tokens=8, name="tiny").metadata
    assert (metadata.context_window, metadata.num_output, metadata.model_name) == (16384, 8, "tiny")
    assert metadata.is_chat_model
    assert not metadata.is_function_calling_model


def test_a_context_that_only_a_server_knows_has_to_be_given() -> None:
    served = Recording("x", context_tokens=None)
    with pytest.raises(ModelError, match="context length is unknown"):
        as_llama_index_llm(served)
    assert as_llama_index_llm(served, context_window=4096).metadata.context_window == 4096


def test_what_the_port_cannot_do_is_refused_and_not_left_out(engine: TorchEngine) -> None:
    from llama_index.core.llms import ChatMessage, ImageBlock, MessageRole

    llm = as_llama_index_llm(engine)
    with pytest.raises(ModelError, match="temperature"):
        llm.complete("x", temperature=0.7)
    with pytest.raises(ModelError, match="tool"):
        llm.chat([ChatMessage(role=MessageRole.TOOL, content="x")])
    with pytest.raises(ModelError, match="ImageBlock"):
        llm.chat([ChatMessage(blocks=[ImageBlock(image=b"\x89PNG")])])


def test_a_llama_index_query_engine_runs_on_both_ports(engine: TorchEngine, embedder: SentenceEmbedder) -> None:
    from llama_index.core import VectorStoreIndex
    from llama_index.core.schema import TextNode

    recorded = Recording("40 litres.")
    index = VectorStoreIndex(
        [TextNode(text=text) for text in PASSAGES], embed_model=as_llama_index_embedding(embedder)
    )  # fmt: skip
    question = "How many litres does the pump move?"
    told = index.as_query_engine(llm=as_llama_index_llm(recorded), similarity_top_k=2).query(question)
    cosines = embedder.embed(PASSAGES, kind="passage") @ embedder.embed([question], kind="query")[0]
    order = np.argsort(-cosines)[:2]
    assert [node.text for node in told.source_nodes] == [PASSAGES[at] for at in order]
    # In Python floats there, in float32 here.
    np.testing.assert_allclose([node.score for node in told.source_nodes], cosines[order], atol=1e-6)
    assert str(told) == "40 litres."
    (chat,) = recorded.chats
    asked = " ".join(message.content for message in chat)
    assert question in asked
    assert PASSAGES[order[0]] in asked

    response = index.as_query_engine(llm=as_llama_index_llm(engine, max_tokens=6), similarity_top_k=2).query(question)
    assert str(response) == answer_of(engine, chat, max_tokens=6).text


def test_llama_index_embeds_questions_and_passages_as_the_port_does(embedder: SentenceEmbedder) -> None:
    embedding = as_llama_index_embedding(embedder)
    query, passages = embedder.embed(PASSAGES[:1], kind="query"), embedder.embed(PASSAGES, kind="passage")
    assert embedding.get_query_embedding(PASSAGES[0]) == query[0].tolist()
    assert asyncio.run(embedding.aget_query_embedding(PASSAGES[0])) == query[0].tolist()
    assert embedding.get_text_embedding_batch(list(PASSAGES)) == passages.tolist()
    assert asyncio.run(embedding.aget_text_embedding_batch(list(PASSAGES))) == passages.tolist()
    assert query[0].tolist() != passages[0].tolist()


# ragas


@pytest.fixture
def ragas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The package, or a skip. Importing it warns of its own parts; it writes a user's number and reports its use."""
    monkeypatch.setenv("RAGAS_DO_NOT_TRACK", "true")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("ragas", reason="ragas is an extra")


def asked(prompt: str) -> Any:
    from langchain_core.prompt_values import StringPromptValue

    return StringPromptValue(text=prompt)


def sample() -> Any:
    from ragas.dataset_schema import SingleTurnSample

    return SingleTurnSample(
        user_input="How many litres?", response="40 litres.", reference="It moves 40 litres per minute."
    )


def criteria(llm: Any) -> Any:
    from ragas.metrics._simple_criteria import SimpleCriteriaScore

    return SimpleCriteriaScore(name="score", definition="Score 0 to 5 by similarity.", llm=llm)


@pytest.mark.usefixtures("ragas")
def test_ragas_gets_the_engines_words(engine: TorchEngine) -> None:
    llm = as_ragas_llm(engine, max_tokens=5)
    expected = answer_of(engine, said(("user", "the pump")), max_tokens=5)
    for result in (llm.generate_text(asked("the pump")), asyncio.run(llm.agenerate_text(asked("the pump"), n=2))):
        assert {one.text for one in result.generations[0]} == {expected.text}
        assert result.generations[0][0].generation_info == {"finish_reason": expected.finish_reason}
    assert len(asyncio.run(llm.agenerate_text(asked("the pump"), n=2)).generations[0]) == 2


@pytest.mark.usefixtures("ragas")
def test_a_ragas_metric_asks_the_tiny_model_and_reads_its_words(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragas.prompt.pydantic_prompt import RagasOutputParser

    read: list[str] = []

    async def keep(_: Any, output_string: str, **__: Any) -> Any:
        read.append(output_string)
        raise EOFError

    monkeypatch.setattr(RagasOutputParser, "parse_output_string", keep)
    recorded = Recording("x")
    for llm in (as_ragas_llm(recorded), as_ragas_llm(engine, max_tokens=5)):
        # The tiny model never ends its answers by itself.
        monkeypatch.setattr(llm, "is_finished", lambda _: True)
        with pytest.raises(EOFError):
            asyncio.run(criteria(llm).single_turn_ascore(sample()))
    (chat,) = recorded.chats
    assert "Score 0 to 5 by similarity." in chat[0].content
    assert read == ["x", answer_of(engine, chat, max_tokens=5).text]


@pytest.mark.usefixtures("ragas")
def test_a_ragas_metric_gives_the_score_that_the_engine_wrote() -> None:
    llm = as_ragas_llm(Recording('{"reason": "same figure", "score": 4}'))
    assert asyncio.run(criteria(llm).single_turn_ascore(sample())) == 4


@pytest.mark.usefixtures("ragas")
def test_an_answer_that_was_cut_is_ragas_own_error(engine: TorchEngine) -> None:
    from ragas.exceptions import LLMDidNotFinishException

    with pytest.raises(LLMDidNotFinishException):
        asyncio.run(as_ragas_llm(engine, max_tokens=3).generate(asked("the pump")))


@pytest.mark.usefixtures("ragas")
def test_a_stop_word_ends_an_answer() -> None:
    recorded = Recording("one two three")
    recorded.finish_reason = "length"
    (one,) = as_ragas_llm(recorded).generate_text(asked("x"), stop=["three", " two", "four"]).generations[0]
    assert (one.text, one.generation_info) == ("one", {"finish_reason": "stop"})
    (one,) = as_ragas_llm(recorded).generate_text(asked("x"), stop=["four"]).generations[0]
    assert (one.text, one.generation_info) == ("one two three", {"finish_reason": "length"})


@pytest.mark.usefixtures("ragas")
def test_ragas_tries_again_only_what_may_pass() -> None:
    from ragas.run_config import RunConfig

    passing = SystemFaultError("busy", seen="503", expected="200", hint="wait")
    wrong = ModelError("no such model", seen="x", expected="y", hint="z")
    # As a metric sets it: any exception is tried again there, ten times, up to a minute apart.
    for answers, n_asked in (((wrong, "fine"), 1), ((passing, "fine"), 2)):
        recorded = Recording(*answers)
        llm = as_ragas_llm(recorded)
        llm.set_run_config(RunConfig(max_wait=0))
        if answers[0] is wrong:
            with pytest.raises(ModelError):
                asyncio.run(llm.generate(asked("x")))
        else:
            assert asyncio.run(llm.generate(asked("x"))).generations[0][0].text == "fine"
        assert len(recorded.chats) == n_asked


@pytest.mark.usefixtures("ragas")
def test_messages_that_hold_more_than_text_are_refused() -> None:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
    from langchain_core.prompt_values import ChatPromptValue

    recorded = Recording("x")
    llm = as_ragas_llm(recorded)
    llm.generate_text(ChatPromptValue(messages=[SystemMessage("s"), HumanMessage("h"), AIMessage("a")]))
    assert recorded.chats == [said(("system", "s"), ("user", "h"), ("assistant", "a"))]
    for message in (ToolMessage("t", tool_call_id="1"), HumanMessage([{"type": "image_url", "image_url": "x"}])):
        with pytest.raises(ModelError, match="does not take"):
            llm.generate_text(ChatPromptValue(messages=[message]))


def test_the_adapters_load_neither_library_before_they_are_used() -> None:
    code = (
        "import sys, fourfold.adapters.llama_index_llm, fourfold.adapters.llama_index_embedding\n"
        "import fourfold.adapters.ragas_llm\n"
        "print(sorted({'llama_index', 'ragas', 'langchain_core', 'torch'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_ragas_is_answered_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ragas.llms.base", None)
    with pytest.raises(ModelError, match="ragas is not installed") as error:
        as_ragas_llm(Recording("x"))
    assert error.value.hint.startswith("pip install")
