"""ragas' metrics through our batches, against ragas itself on the same replies."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.endpoint import FakeTime
from support.openai_server import Asked as Request
from support.openai_server import OpenAIServer, Reply, answer, failure, listing

from fourfold.adapters.ragas_llm import as_ragas_llm
from fourfold.embed.port import Kind, Vectors
from fourfold.errors import InputError, ModelError, SystemFaultError
from fourfold.evals.judge.gate import Standing
from fourfold.evals.ragas_metrics import RagasItem, RagasMetric, RagasScore, score_with_ragas, summarise_ragas
from fourfold.llm.endpoint.engine import EndpointEngine
from fourfold.llm.port import Adapter, Chat, Completion, Prompt, RawCompletion, Refusal, Sampling, Scored
from fourfold.study import EndpointSettings

ALL: tuple[RagasMetric, ...] = (
    "faithfulness", "context precision", "context recall", "answer relevancy", "factual correctness",
    "noise sensitivity",
)  # fmt: skip
ITEM = RagasItem(
    item_id="a",
    question="How fast is the pump?",
    answer="The pump runs at 40 litres. It is red. It is old. So they say.",
    contexts=("The pump runs at 40 litres.", "The pump is red, they say."),
    reference="It runs at 40 litres. It is red.",
)


@pytest.fixture(autouse=True)
def ragas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The package, or a skip. Importing it warns of its own parts; it writes a user's number and reports its use."""
    monkeypatch.setenv("RAGAS_DO_NOT_TRACK", "true")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("ragas", reason="ragas is an extra")


def sentences(text: str) -> list[str]:
    return [part.strip() for part in text.split(".") if part.strip()]


def scripted(text: str) -> str:
    """A reply of the form that the prompt asks for; a statement is held where its last word stands in the context."""
    given = json.loads(text.rpartition("\ninput: ")[2].removesuffix("\nOutput: "))
    if "question" in given and "answer" in given and "context" not in given:
        return json.dumps({"statements": sentences(given["answer"])})
    if "statements" in given:
        held = [
            {"statement": one, "reason": "r", "verdict": int(one.split()[-1] in given["context"])}
            for one in given["statements"]
        ]
        return f"Here it is:\n```json\n{json.dumps({'statements': held})}\n```"
    if "context" in given and "attributed" in text:
        found = [
            {"statement": one, "reason": "r", "attributed": int(one.split()[-1] in given["context"])}
            for one in sentences(given["answer"])
        ]
        return json.dumps({"classifications": found})
    if "context" in given:
        return json.dumps({"reason": "r", "verdict": int("litres" in given["context"])})
    if "noncommittal" in text:
        return json.dumps({"question": "What colour is the pump?", "noncommittal": 0})
    return json.dumps({"claims": sentences(given["response"])})


class Asked:
    """Answers prompts by a script and keeps how many it was given at a time."""

    def __init__(self, script: Callable[[str], str | Refusal] = scripted, finish_reason: Any = "stop") -> None:
        self.script = script
        self.finish_reason = finish_reason
        self.batches: list[int] = []
        self.texts: list[str] = []

    def __call__(self, chats: Sequence[Chat]) -> list[Completion | Refusal]:
        self.batches.append(len(chats))
        self.texts += [chat[0].content for chat in chats]
        replies = [self.script(chat[0].content) for chat in chats]
        return [reply if isinstance(reply, Refusal) else self._completion(reply) for reply in replies]

    def _completion(self, text: str) -> Completion:
        return Completion(
            key="", text=text, token_ids=None, n_prompt_tokens=1, n_answer_tokens=1, mean_logprob=None,
            finish_reason=self.finish_reason, seconds=0.0,
        )  # fmt: skip


class ScriptedEngine:
    """The same script as an engine, for ragas' own way."""

    identity: Mapping[str, str] = {"engine": "scripted"}
    context_tokens = None

    def __init__(self) -> None:
        self.texts: list[str] = []

    def prepare(self, chats: Sequence[Chat]) -> list[Prompt]:
        return [Prompt(chat=chat) for chat in chats]

    def complete(self, prompts: Sequence[Prompt], _sampling: Sampling, _adapter: Adapter | None) -> list[RawCompletion]:
        self.texts += [prompt.chat[0].content for prompt in prompts]
        return [
            RawCompletion(
                text=scripted(prompt.chat[0].content), token_ids=None, logprobs=None, n_prompt_tokens=1,
                n_answer_tokens=1, finish_reason="stop",
            )
            for prompt in prompts
        ]  # fmt: skip

    def score(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]], adapter: Adapter | None
    ) -> list[tuple[Scored, ...]]:
        raise NotImplementedError


class Letters:
    """An embedder that counts letters."""

    identity: Mapping[str, str | int | None] = {"model": "letters"}
    max_tokens = None

    def count_tokens(self, texts: Sequence[str], *, kind: Kind) -> list[int] | None:  # noqa: ARG002
        return None

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:  # noqa: ARG002
        counts = np.array([[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts], dtype=np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    def embed_query(self, text: str) -> list[float]:
        return self.embed([text], kind="query")[0].tolist()  # type: ignore[no-any-return]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed(texts, kind="query").tolist()  # type: ignore[no-any-return]


def by_ragas(metric: RagasMetric) -> tuple[float, list[str]]:
    """What ragas itself makes of the same replies, and the prompts that it wrote."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ragas import metrics
        from ragas.dataset_schema import SingleTurnSample

        made = {
            "faithfulness": metrics.Faithfulness, "context precision": metrics.LLMContextPrecisionWithReference,
            "context recall": metrics.LLMContextRecall, "answer relevancy": metrics.ResponseRelevancy,
            "factual correctness": metrics.FactualCorrectness, "noise sensitivity": metrics.NoiseSensitivity,
        }[metric]()  # fmt: skip
    engine = ScriptedEngine()
    made.llm = as_ragas_llm(engine)
    made.embeddings = Letters()
    sample = SingleTurnSample(
        user_input=ITEM.question, response=ITEM.answer, retrieved_contexts=list(ITEM.contexts),
        reference=ITEM.reference,
    )  # fmt: skip
    return float(asyncio.run(made.single_turn_ascore(sample))), engine.texts


def one(metric: RagasMetric, ask: Asked, **changes: Any) -> RagasScore:
    item = RagasItem(**{name: getattr(ITEM, name) for name in ITEM.__slots__} | changes)
    (score,) = score_with_ragas([item], [metric], ask, embedder=Letters())
    return score


@pytest.mark.parametrize("metric", ALL)
def test_scores_and_prompts_are_ragas_own(metric: RagasMetric) -> None:
    expected, prompts = by_ragas(metric)
    ask = Asked()
    score = one(metric, ask)
    assert score.value == pytest.approx(expected, abs=1e-9)
    assert score.reason is None
    # A script that held everything, or nothing, would show little.
    assert 0 < expected < 1 or metric == "context recall"
    assert sorted(ask.texts) == sorted(prompts)


def test_the_items_of_all_metrics_are_asked_together() -> None:
    ask = Asked()
    items = [RagasItem(item_id=str(n), question=f"Question {n}?", answer=f"It is {n}. It is red.",
                       contexts=(f"Number {n}.",), reference=f"It is {n}.") for n in range(70)]  # fmt: skip
    scores = score_with_ragas(items, ["faithfulness", "context recall"], ask)
    # Statements and recall of all items at once, then the verdicts.
    assert ask.batches == [140, 70]
    assert [(score.metric, score.item_id) for score in scores[::70]] == [("faithfulness", "0"), ("context recall", "0")]
    assert {score.value for score in scores[:70]} == {0.5}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I would say it is fine.", "the reply cannot be read"),
        ('{"statements": [', "the reply cannot be read"),
        ("", "the reply cannot be read"),
        ('{"other": 1}', "the reply cannot be read (Field required)"),
        ('{"statements": []}', "ragas gives no number"),
        (Refusal(reason="429 for 5 tries"), "429 for 5 tries"),
    ],
)
def test_a_reply_that_cannot_be_read_fails_its_item_with_the_reason(reply: str | Refusal, reason: str) -> None:
    ask = Asked(lambda text: reply if "Why" in text else scripted(text))
    items = [ITEM, RagasItem(item_id="b", question="Why?", answer="So.", contexts=("x",), reference="y")]
    good, bad = score_with_ragas(items, ["faithfulness"], ask)
    assert good.value == pytest.approx(3 / 4)
    assert bad.value is None
    assert reason in (bad.reason or "")


def test_a_reply_that_was_cut_off_is_no_reply() -> None:
    assert one("context recall", Asked(finish_reason="length")).reason == "the reply was cut off after 1 tokens"


def test_a_verdict_too_few_is_a_reason_and_no_score() -> None:
    verdicts: list[str] = []

    def uneven(text: str) -> str:
        if "statements" in text.rpartition("\ninput: ")[2]:
            verdicts.append(text)
            if len(verdicts) == 1:
                return json.dumps({"statements": [{"statement": "x", "reason": "r", "verdict": 1}]})
        return scripted(text)

    score = one("noise sensitivity", Asked(uneven))
    assert score.value is None
    assert (score.reason or "").startswith("ragas could not score the replies")


@pytest.mark.parametrize(
    ("metric", "changes", "reason"),
    [
        ("faithfulness", {"answer": None}, "no answer"),
        ("faithfulness", {"answer": " "}, "the answer is empty"),
        ("faithfulness", {"contexts": ()}, "no contexts"),
        ("context recall", {"reference": ""}, "no reference"),
    ],
)
def test_what_a_metric_lacks_is_said_and_nothing_is_asked(
    metric: RagasMetric, changes: dict[str, Any], reason: str
) -> None:
    ask = Asked()
    assert one(metric, ask, **changes).reason == reason
    assert ask.batches == []


def test_an_answer_of_100_000_characters_goes_through() -> None:
    assert one("faithfulness", Asked(), answer="It is red. " * 9_100).value == 1.0


def test_a_fault_of_the_model_as_a_whole_is_raised() -> None:
    for error in (
        ModelError("no", seen="x", expected="y", hint="z"),
        SystemFaultError("x", seen=1, expected="", hint=""),
    ):

        def broken(_: str, error: Exception = error) -> str:
            raise error

        with pytest.raises(type(error)):
            one("faithfulness", Asked(broken))


def test_over_an_endpoint_64_are_in_flight_and_none_is_lost_to_faults() -> None:
    def faulty(asked: Request) -> Reply:
        if asked.path.endswith("/models"):
            return listing("m")
        if asked.nth == 0 and asked.number % 10 == 3:
            return (failure(429, headers={"retry-after": "0"}), failure(500))[asked.number // 10 % 2]
        return dataclasses.replace(answer(scripted(asked.words)), wait_s=0.1)

    items = [RagasItem(item_id=str(n), question=f"Question {n}?", answer=f"It is {n}. It is red.",
                       contexts=(f"Number {n}.",), reference="x") for n in range(150)]  # fmt: skip
    with OpenAIServer(faulty) as server:
        settings = EndpointSettings(urls=(server.url,), model="m", max_in_flight=64)
        clock = FakeTime().clock
        with EndpointEngine(settings, key=None, jitter=random.Random(0), clock=clock) as engine:

            def ask(chats: Sequence[Chat]) -> list[Completion | Refusal]:
                found = engine.complete(engine.prepare(chats), Sampling(max_tokens=99), None)
                return [one if isinstance(one, Refusal) else Asked()._completion(one.text) for one in found]

            scores = score_with_ragas(items, ["faithfulness"], ask)
        assert 32 < server.most_at_once <= 64
    assert [(score.item_id, score.value) for score in scores] == [(str(n), 0.5) for n in range(150)]


def test_without_labels_of_the_study_no_score_is_relied_on() -> None:
    plain = one("faithfulness", Asked())
    assert plain.standing.words == "not relied on: not calibrated on labels of this study"
    relied = Standing(criterion="faithfulness", relied_on=True, reasons=())
    (score,) = score_with_ragas([ITEM], ["faithfulness"], Asked(), standings={"faithfulness": relied})
    assert score.standing is relied


def test_a_failed_item_is_left_out_once_and_counted_as_wrong_once() -> None:
    standing = one("faithfulness", Asked()).standing
    scores = [
        RagasScore(item_id=name, metric=metric, value=value, reason=None if value else "r", standing=standing)
        for metric in ("faithfulness", "noise sensitivity")
        for name, value in (("a", 0.5), ("b", None))
    ]
    faithful, noise = summarise_ragas(scores, {"a": "1", "b": "2"})
    assert (faithful.scored.value, faithful.all_items.value) == (0.5, 0.25)
    # Lower is better: wrong is 1.
    assert (noise.scored.value, noise.all_items.value) == (0.5, 0.75)
    assert faithful.scored.n_missing == 1


def test_two_items_of_one_id_are_refused() -> None:
    with pytest.raises(InputError, match="have one id"):
        score_with_ragas([ITEM, ITEM], ["faithfulness"], Asked())


def test_answer_relevancy_needs_an_embedder() -> None:
    with pytest.raises(ModelError, match="has no embedder"):
        score_with_ragas([ITEM], ["answer relevancy"], Asked())


def test_a_missing_ragas_is_answered_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ragas.metrics._faithfulness", None)
    with pytest.raises(ModelError, match="ragas is not installed"):
        score_with_ragas([ITEM], ["faithfulness"], Asked())


def test_ragas_is_not_loaded_before_it_is_used() -> None:
    code = "import sys, fourfold.evals.ragas_metrics; print('ragas' in sys.modules, 'langchain_core' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_no_score_is_nan() -> None:
    assert not any(math.isnan(score.value or 0) for score in score_with_ragas([ITEM], ALL, Asked(), embedder=Letters()))
