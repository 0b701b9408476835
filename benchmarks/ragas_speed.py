"""ragas' faithfulness through our batches and by `ragas.evaluate`, over an endpoint that answers at once.

    python benchmarks/ragas_speed.py [N_ITEMS] [N_ROUNDS]      200 items, 3 rounds: about 5 minutes

Both write the same prompts, two calls an item, with 64 in flight, to a server in a process of its own; it counts them.
Each round runs ragas, ours, and ours through the store (which keeps every reply), in turning order. The rows hold items
a second and the ratios of one round. Appends to `ragas_speed.csv` and says what is missed: at least 10 times ragas'
items a second, the same calls, the same scores, nothing lost.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.openai_server import Asked, OpenAIServer, Reply, answer, listing  # noqa: E402

from benchmarks.rows import Row, append, measured  # noqa: E402
from fourfold.evals.ragas_metrics import RagasItem, score_with_ragas  # noqa: E402
from fourfold.llm.endpoint.engine import EndpointEngine  # noqa: E402
from fourfold.llm.generate import GenerationRun, generate  # noqa: E402
from fourfold.llm.port import Chat, Completion, RawCompletion, Refusal, Sampling  # noqa: E402
from fourfold.store import Store  # noqa: E402
from fourfold.study import EndpointSettings  # noqa: E402

IN_FLIGHT = 64
TARGET = 10.0
SAMPLING = Sampling(max_tokens=1024)
PASSAGE = "The plant keeps water in a reservoir above the turbine hall. " * 10
STATEMENTS = ["The pump runs at 40 litres.", "The pump is red.", "The pump is old."]
OURS, STORED, RAGAS = "fourfold", "fourfold, replies stored", "ragas.evaluate"


def script(asked: Asked) -> Reply:
    """What a judge would reply: three statements an answer, of which the first is held; and how often it was asked."""
    if asked.path.endswith("/models"):
        return listing("m")
    if asked.path.endswith("/count"):
        return Reply(str(asked.number).encode())
    given = json.loads(asked.words.rpartition("\ninput: ")[2].removesuffix("\nOutput: "))
    if "statements" not in given:
        return answer(json.dumps({"statements": STATEMENTS}))
    verdicts = [
        {"statement": one, "reason": "as the context says", "verdict": int(at == 0)}
        for at, one in enumerate(given["statements"])
    ]
    return answer(json.dumps({"statements": verdicts}))


@contextmanager
def server_process() -> Iterator[str]:
    """The base URL of the server."""
    with subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def items(n: int) -> list[RagasItem]:
    """Answers with contexts as long as three retrieved chunks; every one another."""
    return [
        RagasItem(
            item_id=str(number),
            question=f"How fast is pump {number}?",
            answer=" ".join(STATEMENTS) + f" It is pump {number}.",
            contexts=(f"{PASSAGE}\nPump {number}.", PASSAGE, PASSAGE),
            reference="40 litres",
        )
        for number in range(n)
    ]


def by_ragas(url: str, given: list[RagasItem]) -> list[float | None]:
    """Scores by ragas.evaluate with its client of OpenAI's interface."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from langchain_openai import ChatOpenAI
        from ragas import EvaluationDataset, evaluate
        from ragas.dataset_schema import SingleTurnSample
        from ragas.llms import LangchainLLMWrapper
        from ragas.metrics import Faithfulness
        from ragas.run_config import RunConfig

        samples = [
            SingleTurnSample(user_input=one.question, response=one.answer, retrieved_contexts=list(one.contexts))
            for one in given
        ]
        model = ChatOpenAI(model="m", base_url=url, api_key="none", max_tokens=SAMPLING.max_tokens)
        result = evaluate(
            EvaluationDataset(samples=samples),
            metrics=[Faithfulness()],
            llm=LangchainLLMWrapper(model),
            run_config=RunConfig(max_workers=IN_FLIGHT),
            show_progress=False,
        )
    return [score["faithfulness"] for score in result.scores]


def by_us(url: str, given: list[RagasItem]) -> list[float | None]:
    """Scores through the endpoint engine."""
    with endpoint(url) as engine:

        def ask(chats: list[Chat]) -> list[Completion | Refusal]:
            return [_completion(one) for one in engine.complete(engine.prepare(chats), SAMPLING, None)]

        return [score.value for score in score_with_ragas(given, ["faithfulness"], ask)]


def by_us_stored(url: str, given: list[RagasItem]) -> list[float | None]:
    """The same, every reply planned and kept in a store, as a study does it."""
    run = GenerationRun(10_000_000, lambda _done, _total: None, {})
    with endpoint(url) as engine, tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as store:

        def ask(chats: list[Chat]) -> list[Completion | Refusal]:
            return generate(store, engine, chats, sampling=SAMPLING, run=run)

        return [score.value for score in score_with_ragas(given, ["faithfulness"], ask)]


def endpoint(url: str) -> EndpointEngine:
    """An engine with as many requests in flight as ragas."""
    settings = EndpointSettings(urls=(url,), model="m", max_in_flight=IN_FLIGHT)
    return EndpointEngine(settings, key=None, jitter=random.Random(0))


def _completion(found: RawCompletion | Refusal) -> Completion | Refusal:
    if isinstance(found, Refusal):
        return found
    return Completion(
        key="",
        text=found.text,
        token_ids=None,
        n_prompt_tokens=found.n_prompt_tokens,
        n_answer_tokens=found.n_answer_tokens,
        mean_logprob=None,
        finish_reason=found.finish_reason,
        seconds=0.0,
    )


def main(n_items: int, n_rounds: int) -> None:
    """Measure, append, and say what is missed."""
    ways: dict[str, Callable[[str, list[RagasItem]], list[float | None]]] = {
        RAGAS: by_ragas,
        OURS: by_us,
        STORED: by_us_stored,
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    misses = []
    with server_process() as url:
        # Once unmeasured: libraries load.
        for way in ways.values():
            way(url, items(4))
        for number in range(n_rounds):
            for name in [*ways][number % 3 :] + [*ways][: number % 3]:
                before = count(url)
                started = time.perf_counter()
                scores = ways[name](url, items(n_items))
                speeds[name].append(n_items / (time.perf_counter() - started))
                calls = count(url) - before - 1  # the first count itself
                wrong = sum(score is None or abs(score - 1 / 3) > 1e-9 for score in scores)
                if wrong or len(scores) != n_items:
                    misses.append(f"{name}: {wrong} of {n_items} scores lost or wrong")
                print(f"round {number}, {name}: {speeds[name][-1]:.1f} items/s, {calls} requests", file=sys.stderr)
    rows = rows_of(speeds, n_items)
    append("ragas_speed", rows)
    for row in rows:
        print(f"{row.implementation}: {row.median:g} {row.unit} ({row.p20:g} to {row.p80:g})")
        if row.unit == "ratio" and row.median < TARGET:
            misses.append(f"{row.implementation}: {row.median:g}, target {TARGET:g}")
    print("\n".join(misses) or "every target met")


def rows_of(speeds: dict[str, list[float]], n_items: int) -> list[Row]:
    """Speeds, and each of ours over ragas' of the same round."""
    shape = f"{n_items} items, 2 calls each, {IN_FLIGHT} in flight"
    ratios = {
        f"{name} / {RAGAS}": [a / b for a, b in zip(speeds[name], speeds[RAGAS], strict=True)]
        for name in (OURS, STORED)
    }
    return [
        measured(values, op="ragas faithfulness", implementation=name, unit=unit, shape=shape)
        for unit, figures in (("items/s", speeds), ("ratio", ratios))
        for name, values in figures.items()
    ]


def count(url: str) -> int:
    """Requests that the server had so far."""
    return int(httpx.get(f"{url}/count").text)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        print(OpenAIServer(script).url, flush=True)
        threading.Event().wait()
    os.environ.setdefault("RAGAS_DO_NOT_TRACK", "true")
    words = sys.argv[1:]
    main(int(words[0]) if words else 200, int(words[1]) if len(words) > 1 else 3)
