"""The study's model as the retrieval modules take it, on a tiny model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fourfold.app.context import Context
from fourfold.app.module_models import fresh_writer, scorer, stored_writer
from fourfold.app.progress import Reporter
from fourfold.llm.port import Chat, Message, Refusal
from fourfold.llm.weights import Weights
from fourfold.retrieval.modules.ports import Likelihood, Reply
from fourfold.store import Store
from fourfold.study import CorpusSettings, ModelSettings, StudySettings


@pytest.fixture
def context(tiny: Weights, tmp_path: Path) -> Iterator[Context]:
    model = ModelSettings(id=str(tiny.folder), dtype="float32", quantisation="none", batch_tokens=256)
    study = StudySettings(name="tiny", corpus=CorpusSettings(folder=tmp_path), model=model)
    with Store.open(tmp_path / "runs") as store:
        yield Context(study=study, store=store, reporter=Reporter(quiet=True), cache=tmp_path / "cache")


def chat(text: str) -> Chat:
    return (Message(role="user", content=text),)


# Of different lengths, so that batches sorted by length have another order; one longer than the model reads.
CHATS = [chat("pump"), chat("the valve closes at noon " * 12), chat("pump " * 3000), chat("boiler gauge")]


def test_scores_are_the_engines_in_the_order_asked_and_a_prompt_too_long_is_refused(context: Context) -> None:
    found = scorer(context)(CHATS, ("Yes", "No way"))
    assert [type(one) for one in found] == [Likelihood, Likelihood, Refusal, Likelihood]
    for one, asked in zip(found, CHATS, strict=True):
        if isinstance(one, Likelihood):
            (prompt,) = context.engine.prepare([asked])
            (expected,) = context.engine.score([prompt], [("Yes", "No way")], None)
            assert one.logprobs == pytest.approx([sum(scored.logprobs) for scored in expected], abs=1e-4)
            assert one.n_tokens == (prompt.n_tokens or 0) + sum(len(scored.token_ids) for scored in expected)


def test_what_is_written_anew_is_what_the_store_keeps_and_leaves_nothing_there(context: Context) -> None:
    fresh = fresh_writer(context)(CHATS, max_tokens=6)
    (n_kept,) = context.store.connection.execute("SELECT count(*) FROM generations").fetchone()
    assert n_kept == 0
    kept = stored_writer(context, "writing")(CHATS, max_tokens=6)
    assert [type(one) for one in kept] == [Reply, Reply, Refusal, Reply]
    assert list(fresh) == list(kept)
