"""Experiential Learner: what a dialogue leaves, its kept knowledge in memory and its user's facts in the profile.

Source: Shi et al. 2024 (ERAGent, arXiv 2405.06683), Experiential Learner. Off unless somebody calls it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fourfold.llm.port import Chat, Refusal
from fourfold.retrieval.modules.knowledge import Knowledge
from fourfold.retrieval.modules.ports import Writer
from fourfold.retrieval.modules.profile import Profile
from fourfold.retrieval.modules.prompts import profile_chat
from fourfold.retrieval.modules.reservoir import Reservoir

MAX_TOKENS = 160
# Longer lines are no short facts: a model that rambles would fill the reader's prompt.
MAX_FACT_CHARS = 200
_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+(.*\w.*)$")
_NOTHING = re.compile(r"^\W*none\W*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What one dialogue left: facts noted, passages kept; `failure` says why the profile could not be brought on."""

    facts: tuple[str, ...]
    n_kept: int
    failure: str | None = None


class ExperientialLearner:
    """Brings one user's memory and profile on.

    Args:
        write: the model that reads the dialogue.
        profile: where facts about the user go.
        reservoir: where knowledge goes.
    """

    def __init__(self, write: Writer, *, profile: Profile, reservoir: Reservoir) -> None:
        self._write = write
        self._profile = profile
        self._reservoir = reservoir

    def learn(self, dialogue: Chat, kept: Sequence[Knowledge], *, now: dt.datetime) -> Learned:
        """Learn from one dialogue; knowledge is kept though the profile's update fails.

        Args:
            dialogue: turns of user and assistant; a system prompt is no part of it.
            kept: passages that the filter kept for its questions.
            now: the date noted.
        """
        self._reservoir.add(kept, now=now)
        turns = [f"{turn.role.capitalize()}: {turn.content}" for turn in dialogue if turn.role != "system"]
        (reply,) = self._write([profile_chat("\n".join(turns))], max_tokens=MAX_TOKENS)
        if isinstance(reply, Refusal):
            return Learned(facts=(), n_kept=len(kept), failure=reply.reason)
        facts = parse_facts(reply.text)
        if facts is None:
            reason = f"the reply holds no list of facts: {reply.text[:80]!r}"
            return Learned(facts=(), n_kept=len(kept), failure=reason)
        self._profile.add(facts, now=now)
        return Learned(facts=facts, n_kept=len(kept))


def parse_facts(text: str) -> tuple[str, ...] | None:
    """The facts of a reply, none where it says 'none'; None where it is no list."""
    if _NOTHING.match(text.strip()):
        return ()
    found = [match[1].strip() for line in text.splitlines() if (match := _ITEM.match(line)) is not None]
    short = [fact for fact in found if len(fact) <= MAX_FACT_CHARS and not _NOTHING.match(fact)]
    return tuple(dict.fromkeys(short)) if found else None
