"""Generation through the store: planned once in batches, stored batch by batch, never paid for twice.

A bf16 answer depends on the batch it was computed in, so a batch is planned once (the plan is stored before the
first batch runs), stored whole in one transaction, and re-run whole after a kill: the numbers are those of an
uninterrupted run.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fourfold.digest import digest_of
from fourfold.llm.port import Adapter, Chat, Completion, Engine, Prompt, RawCompletion, Refusal, Sampling
from fourfold.store import Store

Progress = Callable[[int, int], None]


class GenerationRun:
    """How to run: tokens a batch may hold, who is told of progress, and the provenance stored with each row.

    Afterwards it knows how many completions were generated, how many stood in the store already (`n_cached`), and how
    many prompt and answer tokens that saved.
    """

    def __init__(self, batch_tokens: int, progress: Progress, provenance: Mapping[str, Any]) -> None:
        self.batch_tokens = batch_tokens
        self.progress = progress
        self.provenance = provenance
        self.n_cached = 0
        self.n_cached_tokens = 0
        self.n_generated = 0


def generate(
    store: Store,
    engine: Engine,
    chats: Sequence[Chat],
    *,
    sampling: Sampling,
    adapter: Adapter | None = None,
    run: GenerationRun,
) -> list[Completion | Refusal]:
    """Complete every chat, in order.

    Prompts that leave no room for `sampling.max_tokens` in the model's context are refused one by one. What the engine
    refuses is not stored: the next run asks again.
    """
    prompts = engine.prepare(chats)
    identity = {**engine.identity, "adapter": adapter.digest if adapter else "", "max_tokens": sampling.max_tokens}
    keys = [digest_of([identity, prompt.chat if prompt.token_ids is None else prompt.token_ids]) for prompt in prompts]
    refused = {
        key: refusal
        for key, prompt in zip(keys, prompts, strict=True)
        if (refusal := too_long(engine, prompt, sampling)) is not None
    }
    wanted = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in refused}
    kept, refused_now = _run_missing(store, engine, wanted, sampling=sampling, adapter=adapter, run=run)
    refused |= refused_now
    found = _read(store, [key for key in wanted if key not in refused])
    run.n_cached += len(kept)
    run.n_cached_tokens += sum(found[key].n_prompt_tokens + found[key].n_answer_tokens for key in kept)
    return [refused[key] if key in refused else found[key] for key in keys]


def too_long(engine: Engine, prompt: Prompt, sampling: Sampling) -> Refusal | None:
    """Why a prompt leaves no room for its answer; None where it does, or where only the server knows."""
    if engine.context_tokens is None or prompt.n_tokens is None:
        return None
    limit = engine.context_tokens - sampling.max_tokens
    if prompt.n_tokens <= limit:
        return None
    return Refusal(reason=f"prompt of {prompt.n_tokens} tokens, limit {limit} with an answer of {sampling.max_tokens}")


def plan_batches(lengths: Mapping[str, int], *, answer_tokens: int, batch_tokens: int) -> list[list[str]]:
    """Prompts sorted by length, longest first, in batches whose padded size stays within `batch_tokens`.

    Args:
        lengths: prompt tokens per request key.
        answer_tokens: tokens reserved for each answer.
        batch_tokens: limit of rows × (longest prompt + answer_tokens); a single longer row is a batch of its own.
    """
    batches: list[list[str]] = []
    widest = 0
    for key in sorted(lengths, key=lambda key: (-lengths[key], key)):
        if batches and (len(batches[-1]) + 1) * (widest + answer_tokens) <= batch_tokens:
            batches[-1].append(key)
        else:
            batches.append([key])
            widest = lengths[key]
    return batches


def _run_missing(
    store: Store,
    engine: Engine,
    wanted: Mapping[str, Prompt],
    *,
    sampling: Sampling,
    adapter: Adapter | None,
    run: GenerationRun,
) -> tuple[set[str], dict[str, Refusal]]:
    """What stood in the store already, and what the engine refuses."""
    plan = digest_of([sorted(wanted), run.batch_tokens])
    lengths = {key: length_of(prompt) for key, prompt in wanted.items()}
    batches = _plan(store, plan, lengths, answer_tokens=sampling.max_tokens, batch_tokens=run.batch_tokens)
    kept = wanted.keys() - {key for requests, done in batches if not done for key in requests}
    n_done = len(kept)
    run.progress(n_done, len(wanted))
    refused: dict[str, Refusal] = {}
    for number, (requests, done) in enumerate(batches):
        if done:
            continue
        started = time.perf_counter()
        completions = engine.complete([wanted[key] for key in requests], sampling, adapter)
        seconds = (time.perf_counter() - started) / len(requests)
        rows: list[tuple[str, RawCompletion, float]] = []
        for key, completion in zip(requests, completions, strict=True):
            if isinstance(completion, Refusal):
                refused[key] = completion
            else:
                rows.append((key, completion, seconds))
        _store_batch(store, (plan, number), rows, run.provenance, whole=len(rows) == len(requests))
        run.n_generated += len(rows)
        n_done += len(requests)
        run.progress(n_done, len(wanted))
    return kept, refused


def length_of(prompt: Prompt) -> int:
    """Tokens a batch must hold for a prompt; of one that a server reads, a quarter of its characters."""
    if prompt.n_tokens is not None:
        return prompt.n_tokens
    return sum(len(message.content) for message in prompt.chat) // 4


def _plan(
    store: Store, plan: str, lengths: Mapping[str, int], *, answer_tokens: int, batch_tokens: int
) -> list[tuple[list[str], bool]]:
    """Requests of each batch and whether it is done: as planned before, else planned over what is missing."""
    with store.transaction() as db:
        stored = _stored_keys(db, lengths)
        if db.execute("SELECT 1 FROM batches WHERE plan = ?", (plan,)).fetchone() is None:
            missing = {key: n_tokens for key, n_tokens in lengths.items() if key not in stored}
            planned = plan_batches(missing, answer_tokens=answer_tokens, batch_tokens=batch_tokens)
            db.executemany(
                "INSERT INTO batches VALUES (?, ?, ?, 0)",
                [(plan, number, json.dumps(requests)) for number, requests in enumerate(planned)],
            )
        found = db.execute("SELECT requests, done FROM batches WHERE plan = ? ORDER BY batch", (plan,)).fetchall()
    batches = [(json.loads(requests), bool(done)) for requests, done in found]
    # A batch that other runs have answered to its last request would change nothing.
    return [(requests, done or stored.issuperset(requests)) for requests, done in batches]


def _store_batch(
    store: Store,
    batch: tuple[str, int],
    rows: Sequence[tuple[str, RawCompletion, float]],
    provenance: Mapping[str, Any],
    *,
    whole: bool,
) -> None:
    text = json.dumps(provenance, sort_keys=True)
    with store.transaction() as db:
        # IGNORE: a generation never changes once stored, so that every row that names it can be traced.
        db.executemany(
            "INSERT OR IGNORE INTO generations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    key,
                    raw.text,
                    json.dumps(raw.token_ids),
                    raw.n_prompt_tokens,
                    raw.n_answer_tokens,
                    sum(raw.logprobs) / len(raw.logprobs) if raw.logprobs else None,
                    raw.finish_reason,
                    seconds,
                    text,
                )
                for key, raw, seconds in rows
            ],
        )
        if whole:
            db.execute("UPDATE batches SET done = 1 WHERE plan = ? AND batch = ?", batch)


def _stored_keys(db: sqlite3.Connection, keys: Mapping[str, object]) -> set[str]:
    return {key for key in keys if db.execute("SELECT 1 FROM generations WHERE key = ?", (key,)).fetchone()}


def _read(store: Store, keys: Sequence[str]) -> dict[str, Completion]:
    found = {}
    for key in keys:
        text, ids, n_prompt_tokens, n_answer_tokens, mean_logprob, finish_reason, seconds = store.connection.execute(
            "SELECT text, token_ids, n_prompt_tokens, n_answer_tokens, mean_logprob, finish_reason, seconds "
            "FROM generations WHERE key = ?",
            (key,),
        ).fetchone()
        token_ids = json.loads(ids)
        found[key] = Completion(
            key=key,
            text=text,
            token_ids=None if token_ids is None else tuple(token_ids),
            n_prompt_tokens=n_prompt_tokens,
            n_answer_tokens=n_answer_tokens,
            mean_logprob=mean_logprob,
            finish_reason=finish_reason,
            seconds=seconds,
        )
    return found
