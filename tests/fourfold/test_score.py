"""Against one plain forward pass per text, in float32, on tiny random models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.architectures import N_VOCABULARY, RAGGED, make_model

from fourfold.llm import decode, plain
from fourfold.llm import score as score_file
from fourfold.llm.prefix import TokenIds
from fourfold.llm.score import score


def draw(n: int, seed: int) -> TokenIds:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(2, N_VOCABULARY, (n,), generator=generator).tolist())


SHARED = draw(40, 1)
# Shared by four, by none, and a prompt that comes twice with other continuations.
ROWS = [SHARED + draw(3, 2), draw(12, 3), SHARED + draw(140, 4), SHARED + draw(1, 5), SHARED + draw(3, 2)]
WANTED: list[list[TokenIds]] = [
    [(5,), (6,), draw(7, 10)],
    [draw(1, 11), draw(2, 12), (), draw(150, 13)],
    [(5,), (6,)],
    [],
    [draw(9, 14), (5,)],
]


def by_forward(model: Any, row: TokenIds, ids: TokenIds) -> list[float]:
    whole = torch.tensor([row + ids])
    with torch.inference_mode():
        logits = model(whole, attention_mask=torch.ones_like(whole)).logits[0].double()
    logprobs = logits.log_softmax(dim=1)
    return [float(logprobs[len(row) + at - 1, token]) for at, token in enumerate(ids)]


def check(model: Any, found: list[list[list[float]]]) -> None:
    for row, of_row, numbers in zip(ROWS, WANTED, found, strict=True):
        for ids, logprobs in zip(of_row, numbers, strict=True):
            assert logprobs == pytest.approx(by_forward(model, row, ids), abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("name", list(RAGGED))
def test_scores_are_those_of_one_forward_pass(name: str) -> None:
    model = make_model(RAGGED[name]())
    found = score(model, ROWS, WANTED)
    check(model, found)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(("n_tokens", "n_logits"), [(1, 1), (200, 3), (100_000, 100_000)])
def test_how_much_a_pass_takes_changes_no_score(n_tokens: int, n_logits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (decode, score_file):
        monkeypatch.setattr(file, "PASS_TOKENS", n_tokens)
    monkeypatch.setattr(score_file, "PASS_LOGITS", n_logits)
    model = make_model(RAGGED["smollm2"]())
    check(model, score(model, ROWS, WANTED))


def test_the_plain_way_scores_alike() -> None:
    model = make_model(RAGGED["qwen3"]())
    check(model, plain.score(model, ROWS, WANTED))


def test_nothing_asked_is_nothing_scored() -> None:
    model = make_model(RAGGED["llama"]())
    assert score(model, [], []) == []
    assert score(model, ROWS[:2], [[], [()]]) == [[], [[]]]
