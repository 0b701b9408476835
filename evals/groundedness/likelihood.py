"""Groundedness by a language model's log-probability: how much likelier the passages make a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from fourfold.evals.groundedness.rate import Claim, Rating
from fourfold.llm.port import Adapter, Chat, Engine, Message, Prompt, Scored

_TASK = "Say what the passages say, in one sentence."
_ALONE = "Say anything, in one sentence."


class LikelihoodScorer:
    """Mean log-probability per token (nats) of a sentence after its passages, less the same without passages.

    Source: the pointwise mutual information of source and text, van der Poel et al. 2022, "Mutual Information
    Alleviates Hallucinations in Abstractive Summarization". Where we differ: the mean over tokens, as in BARTScore
    (Yuan et al. 2021), so that a long sentence is not worse for its length. Without the subtraction a common phrase
    would look grounded in anything.

    Args:
        engine: one that scores given texts, as the engine in this process does.
        adapter: applied while scoring.
    """

    def __init__(self, engine: Engine, *, adapter: Adapter | None = None) -> None:
        self.engine = engine
        self.adapter = adapter

    def rate(self, claims: Sequence[Claim]) -> list[Rating]:
        """One rating per claim, in order; none where the model's context does not hold passages and sentence.

        Raises:
            ModelError: the engine cannot tell log-probabilities.
        """
        prompts = self.engine.prepare([_chat(claim.contexts) for claim in claims])
        (alone,) = self.engine.prepare([_chat(())])
        why = self._too_long(prompts, [claim.sentence for claim in claims])
        fits = [at for at, reason in enumerate(why) if reason is None]
        said = [(claims[at].sentence,) for at in fits]
        given = self.engine.score([prompts[at] for at in fits], said, self.adapter)
        # Once each: answers share sentences, and the prompt without passages is the same for all.
        distinct = tuple(dict.fromkeys(sentence for (sentence,) in said))
        prior = self.engine.score([alone], [distinct], self.adapter)[0] if distinct else ()
        without = {sentence: _mean(scored) for sentence, scored in zip(distinct, prior, strict=True)}
        found = [Rating(value=None, reason=reason) for reason in why]
        for at, (sentence,), (scored,) in zip(fits, said, given, strict=True):
            found[at] = Rating(value=_mean(scored) - without[sentence])
        return found

    def _too_long(self, prompts: Sequence[Prompt], sentences: Sequence[str]) -> list[str | None]:
        """Why each claim cannot be scored; None where it can."""
        limit = self.engine.context_tokens
        # As a user's turn: a few tokens too many for the template, never too few.
        lengths = self.engine.prepare([(Message(role="user", content=sentence),) for sentence in sentences])
        return [
            None
            if limit is None or prompt.n_tokens is None or sentence.n_tokens is None
            or prompt.n_tokens + sentence.n_tokens <= limit
            else f"passages and sentence of {prompt.n_tokens + sentence.n_tokens} tokens, limit {limit}"
            for prompt, sentence in zip(prompts, lengths, strict=True)
        ]  # fmt: skip


def _chat(contexts: Sequence[str]) -> Chat:
    if not contexts:
        return (Message(role="user", content=_ALONE),)
    passages = "\n\n".join(f"[{rank}] {context}" for rank, context in enumerate(contexts, start=1))
    return (Message(role="user", content=f"Passages:\n{passages}\n\n{_TASK}"),)


def _mean(scored: Scored) -> float:
    return fmean(scored.logprobs)
