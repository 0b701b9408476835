"""What the endpoint engine adds to a request, and whether it loses one when the server fails.

    python benchmarks/endpoint.py [N_ROUNDS]

The server answers at once and runs in a process of its own. A round sends 1,000 different requests, 64 in flight, in
two bare httpx loops that parse the JSON and do nothing else and through the engine, in turning order; the rows hold
milliseconds a request and the differences. One loop shares a client, as one would write it; the other keeps a client
for each request in flight, which spares it httpx's search through its pool, as the engine does. The faulty run sends
1,000 requests to a server that meets one first try in ten with 429, 500 or silence. Appends to `endpoint.csv` and says
which target is missed: at most 1 ms a request, nothing lost, nothing doubled.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.openai_server import Asked, OpenAIServer, Reply, echo, failure  # noqa: E402

from benchmarks.rows import Row, append, measured  # noqa: E402
from fourfold.llm.endpoint.engine import EndpointEngine  # noqa: E402
from fourfold.llm.port import Message, Prompt, RawCompletion, Sampling  # noqa: E402
from fourfold.study import EndpointSettings  # noqa: E402

N_REQUESTS = 1000
IN_FLIGHT = 64
TARGET_MS = 1.0
ENGINE = "endpoint engine"
SHARED = f"httpx {httpx.__version__} loop, one client"
SPREAD = f"httpx {httpx.__version__} loop, a client for each in flight"
# As long as a question with three retrieved chunks.
CONTEXT = "The plant keeps water in a reservoir above the turbine hall. " * 40
SHAPE = f"{N_REQUESTS} requests, {IN_FLIGHT} in flight, {len(CONTEXT)} characters each"
SAMPLING = Sampling(max_tokens=8)


def words(number: int) -> str:
    """The text of one request."""
    return f"{CONTEXT}\nQuestion {number}?"


@contextmanager
def server_process() -> Iterator[str]:
    """The base URL of a server that answers at once."""
    command = [sys.executable, "-m", "support.openai_server"]
    with subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def bare(url: str, n_clients: int) -> float:
    """Seconds of a loop that only sends and parses, requests spread over so many clients."""
    async with AsyncExitStack() as stack:
        certificates = httpx.create_ssl_context()
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(verify=certificates, timeout=60))
            for _ in range(n_clients)
        ]
        free = [clients[at % n_clients] for at in range(IN_FLIGHT)]
        slots = asyncio.Semaphore(IN_FLIGHT)

        async def one(number: int) -> str:
            request = {
                "model": "m",
                "messages": [{"role": "user", "content": words(number)}],
                "temperature": 0,
                "max_tokens": SAMPLING.max_tokens,
                "logprobs": True,
                "top_logprobs": 1,
            }
            async with slots:
                client = free.pop()
                reply = await client.post(f"{url}/chat/completions", json=request)
                free.append(client)
            return str(reply.json()["choices"][0]["message"]["content"])

        started = time.perf_counter()
        texts = await asyncio.gather(*[one(number) for number in range(N_REQUESTS)])
        seconds = time.perf_counter() - started
    assert len(set(texts)) == N_REQUESTS
    return seconds


def shared_ms(url: str) -> float:
    """Milliseconds a request of the loop with one client."""
    return 1000 * asyncio.run(bare(url, 1)) / N_REQUESTS


def spread_ms(url: str) -> float:
    """Milliseconds a request of the loop with a client for each request in flight."""
    return 1000 * asyncio.run(bare(url, IN_FLIGHT)) / N_REQUESTS


def engine_ms(url: str) -> float:
    """Milliseconds a request of the engine."""
    with endpoint(url) as engine:
        started = time.perf_counter()
        answers = engine.complete(prompts(), SAMPLING, None)
        seconds = time.perf_counter() - started
    assert len({item.text for item in answers if isinstance(item, RawCompletion)}) == N_REQUESTS
    return 1000 * seconds / N_REQUESTS


def endpoint(url: str, *, timeout_s: float = 60.0) -> EndpointEngine:
    """An engine with as many requests in flight as the loop."""
    settings = EndpointSettings(urls=(url,), model="m", max_in_flight=IN_FLIGHT, timeout_s=timeout_s)
    return EndpointEngine(settings, key=None, jitter=random.Random(0))


def prompts() -> list[Prompt]:
    """The requests."""
    return [Prompt(chat=(Message(role="user", content=words(number)),)) for number in range(N_REQUESTS)]


def overhead(n_rounds: int) -> list[Row]:
    """The three ways in turning order, after one round that is not counted."""
    ways = {SHARED: shared_ms, SPREAD: spread_ms, ENGINE: engine_ms}
    figures: dict[str, list[float]] = {name: [] for name in ways}
    with server_process() as url:
        for number in range(n_rounds + 1):
            turn = number % len(ways)
            for name in [*ways][turn:] + [*ways][:turn]:
                figures[name].append(ways[name](url))
            told = ", ".join(f"{name} {values[-1]:.2f} ms" for name, values in figures.items())
            print(f"round {number}: {told}", file=sys.stderr, flush=True)
    counted = {name: values[1:] for name, values in figures.items()}
    for rival in (SHARED, SPREAD):
        counted[f"{ENGINE} above {rival}"] = [a - b for a, b in zip(counted[ENGINE], counted[rival], strict=True)]
    return [
        measured(values, op="chat completion", implementation=name, unit="ms a request", shape=SHAPE)
        for name, values in counted.items()
    ]


def faulty(asked: Asked) -> Reply:
    """One first try in ten meets 429, 500 or silence, by its number."""
    if asked.nth == 0 and asked.number % 10 == 3:
        return (failure(429, headers={"retry-after": "0"}), failure(500), Reply(hang=True))[asked.number // 10 % 3]
    return echo(asked)


def losses() -> list[Row]:
    """Answers lost and answers that are another question's, with one fault in ten."""
    with OpenAIServer(faulty) as server, endpoint(server.url, timeout_s=5.0) as engine:
        answers = engine.complete(prompts(), SAMPLING, None)
        tries = Counter(asked.words for asked in server.asked)
    wrong = sum(
        not isinstance(item, RawCompletion) or item.text != answer_text(number) for number, item in enumerate(answers)
    )
    doubled = sum(count > 2 for count in tries.values())
    mode = f"one first try in ten fails, {sum(tries.values()) - N_REQUESTS} did"
    return [
        measured([float(value)], op=op, implementation=ENGINE, unit="requests", shape=SHAPE, mode=mode)
        for op, value in (("answers lost or mixed up", wrong), ("sent more often than needed", doubled))
    ]


def answer_text(number: int) -> str:
    """What the server says to one request."""
    return f"re: {words(number)}".strip()


def main(n_rounds: int) -> None:
    """Measure, append, and say what is missed."""
    rows = overhead(n_rounds) + losses()
    append("endpoint", rows)
    misses = [f"{row.op}: {row.median:g}" for row in rows if row.unit == "requests" and row.median]
    misses += [
        f"{row.implementation}: {row.median:g} {row.unit}, target {TARGET_MS:g}"
        for row in rows
        if "above" in row.implementation and row.median > TARGET_MS
    ]
    for row in rows:
        print(f"{row.op}, {row.implementation}: {row.median:g} {row.unit} ({row.p20:g} to {row.p80:g})")
    print("\n".join(misses) or "every target met")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
