from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.tiny_cross_encoder import make_cross_encoder

from fourfold.errors import ModelError
from fourfold.llm.port import Chat, Refusal
from fourfold.retrieval.modules.ports import Likelihood
from fourfold.retrieval.rerank import best_first
from fourfold.retrieval.rerank_cross import CrossEncoderReranker
from fourfold.retrieval.rerank_model import LanguageModelReranker
from fourfold.types import Chunk


def chunk(text: str) -> Chunk:
    return Chunk(
        chunk_id=text, doc_id="d", position=0, start=0, end=len(text), page_first=1, page_last=1, section=(),
        n_tokens=1, text=text,
    )  # fmt: skip


CHUNKS = [chunk("valve"), chunk("pump"), chunk("gauge"), chunk("pump pump")]


def test_positions_by_score_with_ties_in_order() -> None:
    assert best_first([0.1, 0.5, 0.5, 0.9]) == [3, 1, 2, 0]
    assert best_first([]) == []


def test_the_order_is_that_of_the_cross_encoders_own_scores(tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    folder = make_cross_encoder(tmp_path / "m")
    scores = CrossEncoder(str(folder), device="cpu").predict([("what does pump", one.text) for one in CHUNKS])
    order = CrossEncoderReranker(folder, device="cpu").rerank("what does pump", CHUNKS)
    assert order == sorted(range(4), key=lambda at: -scores[at])
    assert len(set(scores)) > 2


@pytest.mark.parametrize("question", ["", "pump " * 25_000, "насос 水泵"])
def test_odd_questions_get_an_order_too(tmp_path: Path, question: str) -> None:
    reranker = CrossEncoderReranker(make_cross_encoder(tmp_path / "m"), device="cpu")
    assert sorted(reranker.rerank(question, CHUNKS)) == [0, 1, 2, 3]
    assert reranker.rerank(question, []) == []


def test_a_model_with_several_outputs_is_refused(tmp_path: Path) -> None:
    reranker = CrossEncoderReranker(make_cross_encoder(tmp_path / "m", n_labels=3), device="cpu")
    with pytest.raises(ModelError, match="cannot rerank") as error:
        reranker.rerank("pump", CHUNKS)
    assert "3 outputs" in str(error.value.seen)


class Scored:
    """Likelihoods as given, one a chunk; keeps what it was asked."""

    def __init__(self, *found: float | Refusal) -> None:
        self.found = found
        self.asked: list[tuple[Chat, Sequence[str]]] = []

    def __call__(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Likelihood | Refusal]:
        self.asked += [(chat, continuations) for chat in chats]
        return [one if isinstance(one, Refusal) else Likelihood(logprobs=(one,), n_tokens=1) for one in self.found]


def test_chunks_stand_by_how_likely_the_question_is_after_them() -> None:
    score = Scored(-9.0, -2.5, -9.0, -2.0)
    assert LanguageModelReranker(score).rerank("What does the pump do?", CHUNKS) == [3, 1, 0, 2]
    assert [continuations for _, continuations in score.asked] == [["What does the pump do?"]] * 4
    assert all(f"Passage: {one.text}\n" in chat[0].content for one, (chat, _) in zip(CHUNKS, score.asked, strict=True))


def test_an_empty_question_leaves_the_order_and_a_long_one_is_cut() -> None:
    score = Scored(-1.0, -2.0, -3.0, -4.0)
    assert LanguageModelReranker(score).rerank(" ", CHUNKS) == [0, 1, 2, 3]
    assert score.asked == []
    assert LanguageModelReranker(score).rerank("x" * 100_000, CHUNKS) == [0, 1, 2, 3]
    assert {len(continuations[0]) for _, continuations in score.asked} == {2_000}


def test_a_chunk_that_the_model_cannot_read_is_an_error_and_no_low_score() -> None:
    with pytest.raises(ModelError, match="cannot read a chunk") as error:
        LanguageModelReranker(Scored(-1.0, Refusal(reason="too long"), -1.0, -1.0)).rerank("q", CHUNKS)
    assert error.value.seen == "too long"
