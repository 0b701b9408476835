"""The user's profile and the learner that brings it on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fourfold.llm.port import Chat, Message, Refusal
from fourfold.retrieval.modules.experiential_learner import ExperientialLearner, parse_facts
from fourfold.retrieval.modules.knowledge import Knowledge
from fourfold.retrieval.modules.memory_file import MemoryFile
from fourfold.retrieval.modules.ports import Reply
from fourfold.retrieval.modules.profile import CAPACITY, Profile, with_profile
from fourfold.retrieval.modules.reservoir import Reservoir

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
KEPT = Knowledge(title="T", text="t", chunk_id="c", doc_id="d", source="s")
DIALOGUE = (
    Message(role="system", content="secret instructions"),
    Message(role="user", content="I grow maize in Ohio. When do I water?"),
    Message(role="assistant", content="At noon."),
)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[MemoryFile]:
    with MemoryFile.open(tmp_path / "memory.db") as opened:
        yield opened


def test_facts_are_listed_in_the_order_stated_and_deleted_one_or_all(file: MemoryFile) -> None:
    profile = Profile(file, owner="ada")
    profile.add(["grows maize"], now=NOW)
    profile.add(["lives in Ohio"], now=NOW)
    profile.add(["grows maize"], now=NOW)
    assert profile.facts() == ("lives in Ohio", "grows maize")
    assert Profile(file, owner="bob").facts() == ()
    assert (profile.delete("lives in Ohio"), profile.delete()) == (1, 1)
    assert profile.facts() == ()


def test_the_oldest_statements_go_first(file: MemoryFile) -> None:
    profile = Profile(file, owner="ada")
    for number in range(CAPACITY + 3):
        profile.add([f"fact {number}"], now=NOW)
    assert profile.facts() == tuple(f"fact {number}" for number in range(3, CAPACITY + 3))


def test_the_reader_is_told_what_is_known_and_nothing_where_nothing_is() -> None:
    assert with_profile("Answer.", ()) == "Answer."
    assert with_profile("Answer.", ("grows maize",)) == "Answer.\nWhat is known about the user:\n- grows maize"


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("- grows maize\n- lives in Ohio\n- grows maize", ("grows maize", "lives in Ohio")),
        ("Facts:\n1. grows maize\n2) lives in Ohio", ("grows maize", "lives in Ohio")),
        ("None.", ()),
        ("- none", ()),
        ("- " + "x" * 300, ()),
        ("The user seems nice.", None),
        ("", None),
    ],
)
def test_replies_are_read(text: str, facts: tuple[str, ...] | None) -> None:
    assert parse_facts(text) == facts


def learner(file: MemoryFile, reply: Reply | Refusal, seen: list[Chat]) -> ExperientialLearner:
    def write(chats: Sequence[Chat], *, max_tokens: int) -> list[Reply | Refusal]:
        assert max_tokens > 0
        seen.extend(chats)
        return [reply]

    return ExperientialLearner(write, profile=Profile(file, owner="ada"), reservoir=Reservoir(file, owner="ada"))


def test_a_dialogue_leaves_its_knowledge_and_its_users_facts(file: MemoryFile) -> None:
    seen: list[Chat] = []
    learned = learner(file, Reply(text="- grows maize in Ohio", n_tokens=1), seen).learn(DIALOGUE, [KEPT], now=NOW)
    assert (learned.facts, learned.n_kept, learned.failure) == (("grows maize in Ohio",), 1, None)
    assert Profile(file, owner="ada").facts() == ("grows maize in Ohio",)
    assert Reservoir(file, owner="ada").titles() == ("T",)
    assert "User: I grow maize" in seen[0][-1].content
    assert "secret instructions" not in seen[0][-1].content


@pytest.mark.parametrize("reply", [Reply(text="I like maize.", n_tokens=1), Refusal(reason="too long")])
def test_a_failed_update_is_told_and_the_knowledge_is_kept(file: MemoryFile, reply: Reply | Refusal) -> None:
    learned = learner(file, reply, []).learn(DIALOGUE, [KEPT], now=NOW)
    assert learned.failure is not None
    assert Profile(file, owner="ada").facts() == ()
    assert Reservoir(file, owner="ada").titles() == ("T",)
