"""The study's model as the retrieval modules take it: writing through the store or past it, and scoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from fourfold.app.context import Context
from fourfold.llm.generate import length_of, plan_batches, too_long
from fourfold.llm.port import Adapter, Chat, Completion, Prompt, RawCompletion, Refusal, Sampling
from fourfold.retrieval.modules.ports import Likelihood, Reply, Scorer, Writer

Done = TypeVar("Done")


def stored_writer(context: Context, label: str, adapter: Adapter | None = None) -> Writer:
    """Writes through the store, where every reply is paid for once; `label` is shown with its progress."""

    def write(chats: Sequence[Chat], *, max_tokens: int) -> list[Reply | Refusal]:
        return [_reply(one) for one in context.generate(chats, max_tokens=max_tokens, label=label, adapter=adapter)]

    return write


def fresh_writer(context: Context, adapter: Adapter | None = None) -> Writer:
    """Writes anew each time: what the latency pass times."""

    def write(chats: Sequence[Chat], *, max_tokens: int) -> list[Reply | Refusal]:
        prompts = context.engine.prepare(chats)
        return [_reply(one) for one in complete_fresh(context, prompts, max_tokens=max_tokens, adapter=adapter)]

    return write


def complete_fresh(
    context: Context, prompts: Sequence[Prompt], *, max_tokens: int, adapter: Adapter | None
) -> list[RawCompletion | Refusal]:
    """The engine itself, as many prompts at once as a batch may hold; `generate` would take answers from the store."""
    sampling = Sampling(max_tokens=max_tokens)
    return _in_batches(
        context, prompts, n_reserved=max_tokens, run=lambda some: context.engine.complete(some, sampling, adapter)
    )


def scorer(context: Context) -> Scorer:
    """Scores continuations with the base, as many prompts at once as a batch may hold.

    Nothing of it is stored: the stage that asks is stored whole.
    """

    def score(chats: Sequence[Chat], continuations: Sequence[str]) -> list[Likelihood | Refusal]:
        # Generous: the tokens of all of them; no token is longer than its text.
        n_reserved = sum(map(len, continuations))

        def run(some: Sequence[Prompt]) -> list[Likelihood]:
            scored = context.engine.score(some, [continuations] * len(some), None)
            return [
                Likelihood(
                    logprobs=tuple(sum(one.logprobs) for one in of_prompt),
                    n_tokens=length_of(prompt) + sum(len(one.token_ids) for one in of_prompt),
                )
                for prompt, of_prompt in zip(some, scored, strict=True)
            ]

        return _in_batches(context, context.engine.prepare(chats), n_reserved=n_reserved, run=run)

    return score


def _in_batches(
    context: Context,
    prompts: Sequence[Prompt],
    *,
    n_reserved: int,
    run: Callable[[Sequence[Prompt]], Sequence[Done | Refusal]],
) -> list[Done | Refusal]:
    found: dict[int, Done | Refusal] = {}
    for at, prompt in enumerate(prompts):
        if (refusal := too_long(context.engine, prompt, Sampling(max_tokens=n_reserved))) is not None:
            found[at] = refusal
    lengths = {str(at): length_of(prompt) for at, prompt in enumerate(prompts) if at not in found}
    for keys in plan_batches(lengths, answer_tokens=n_reserved, batch_tokens=context.batch_tokens):
        places = [int(key) for key in keys]
        found |= zip(places, run([prompts[at] for at in places]), strict=True)
    return [found[at] for at in range(len(prompts))]


def _reply(done: Completion | RawCompletion | Refusal) -> Reply | Refusal:
    if isinstance(done, Refusal):
        return done
    return Reply(text=done.text, n_tokens=done.n_prompt_tokens + done.n_answer_tokens)
