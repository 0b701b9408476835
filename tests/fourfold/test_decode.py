"""Against transformers' own `generate`, one prompt at a time, on tiny random models of every architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.architectures import N_VOCABULARY, PLAIN, RAGGED, make_model

from fourfold.llm import decode as decode_file
from fourfold.llm.attention import ragged_attention, why_not, window_of
from fourfold.llm.decode import Written, decode
from fourfold.llm.plans import attend_fused, attend_in_blocks
from fourfold.llm.prefix import TokenIds

MAX_TOKENS = 24
# One end in twelve tokens: most answers end early, some not at all.
ENDS = frozenset(range(2, N_VOCABULARY, 12))


def draw(n: int, seed: int) -> TokenIds:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(2, N_VOCABULARY, (n,), generator=generator).tolist())


def mixed_rows() -> list[TokenIds]:
    """Six rows over one prefix, two over another, three alone; of many lengths, longer than a block of queries."""
    many, few = draw(40, 1), draw(50, 2)
    rows = [many + draw(n, 10 + n) for n in (1, 7, 7, 30, 150, 2)]
    rows += [few + draw(n, 30 + n) for n in (5, 9)]
    rows += [draw(n, 50 + n) for n in (1, 33, 140)]
    # In no order that groups would be in.
    return [rows[at] for at in (8, 0, 6, 3, 10, 1, 4, 2, 7, 9, 5)]


def one_by_one(model: Any, rows: list[TokenIds], ends: frozenset[int]) -> list[tuple[int, ...]]:
    found = []
    for row in rows:
        ids = model.generate(
            torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.long),
            max_new_tokens=MAX_TOKENS, do_sample=False, eos_token_id=sorted(ends), pad_token_id=0,
        )  # fmt: skip
        found.append(tuple(ids[0, len(row) :].tolist()))
    return found


def tokens(written: list[Written]) -> list[tuple[int, ...]]:
    return [tuple(one.token_ids) for one in written]


@pytest.fixture(scope="module", params=list(RAGGED))
def model(request: pytest.FixtureRequest) -> Any:
    return make_model(RAGGED[request.param]())


def test_answers_are_those_of_transformers_for_mixed_rows(model: Any) -> None:
    assert why_not(model.config) is None
    rows = mixed_rows()
    expected = one_by_one(model, rows, ENDS)
    found = decode(model, rows, max_tokens=MAX_TOKENS, end_ids=ENDS)
    assert tokens(found) == expected
    lengths = {len(ids) for ids in expected}
    assert len(lengths) > 3, "these rows test no early ends"
    assert model.config._attn_implementation == "sdpa"


def test_log_probabilities_are_those_of_one_forward_pass(model: Any) -> None:
    rows = mixed_rows()
    for row, one in zip(rows, decode(model, rows, max_tokens=9, end_ids=ENDS), strict=True):
        ids = torch.tensor([[*row, *one.token_ids]])
        logits = model(ids, attention_mask=torch.ones_like(ids)).logits[0, len(row) - 1 : -1]
        expected = logits.double().log_softmax(dim=1).amax(dim=1)
        torch.testing.assert_close(torch.tensor(one.logprobs).double(), expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def llama() -> Any:
    return make_model(RAGGED["smollm2"]())


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
def test_rows_that_are_equal_or_begin_each_other_are_answered(llama: Any, n_rows: int) -> None:
    start = draw(60, 7)
    rows = [start[: 60 - at // 2] for at in range(n_rows)]
    assert tokens(decode(llama, rows, max_tokens=MAX_TOKENS, end_ids=ENDS)) == one_by_one(llama, rows, ENDS)


def test_an_answer_may_be_longer_than_the_buffers_first_are(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fourfold.llm.kv_cache.GROWTH", 5)
    rows = mixed_rows()
    assert tokens(decode(llama, rows, max_tokens=MAX_TOKENS, end_ids=ENDS)) == one_by_one(llama, rows, ENDS)
    endless = frozenset({1})
    found = tokens(decode(llama, rows, max_tokens=MAX_TOKENS, end_ids=endless))
    assert found == one_by_one(llama, rows, endless)
    assert {len(ids) for ids in found} >= {MAX_TOKENS}


@pytest.mark.parametrize("budget", [1, 50, 100_000])
def test_how_many_tokens_a_pass_takes_changes_no_answer(
    llama: Any, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_file, "PASS_TOKENS", budget)
    rows = mixed_rows()
    assert tokens(decode(llama, rows, max_tokens=MAX_TOKENS, end_ids=ENDS)) == one_by_one(llama, rows, ENDS)


@pytest.mark.parametrize("share", [0.01, 1.0])
def test_when_ended_rows_are_dropped_changes_no_answer(
    llama: Any, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_file, "ENDED_SHARE", share)
    rows = mixed_rows()
    assert tokens(decode(llama, rows, max_tokens=MAX_TOKENS, end_ids=ENDS)) == one_by_one(llama, rows, ENDS)


@pytest.mark.parametrize("max_tokens", [1, 2])
def test_short_answers_are_the_beginnings_of_long_ones(llama: Any, max_tokens: int) -> None:
    rows = mixed_rows()
    long = tokens(decode(llama, rows, max_tokens=MAX_TOKENS, end_ids=ENDS))
    assert tokens(decode(llama, rows, max_tokens=max_tokens, end_ids=ENDS)) == [ids[:max_tokens] for ids in long]


@pytest.mark.parametrize("name", list(PLAIN))
def test_what_cannot_be_honoured_is_named(name: str) -> None:
    assert why_not(PLAIN[name]()) is not None


def test_a_window_is_told_where_a_layer_has_one() -> None:
    assert window_of(RAGGED["llama"]()) is None
    assert window_of(RAGGED["mistral"]()) is None
    assert window_of(RAGGED["mistral with a wide window"]()) == 1024
    import transformers

    sizes = {"num_hidden_layers": 2, "sliding_window": 8}
    assert window_of(transformers.Qwen2Config(**sizes)) is None
    assert window_of(transformers.Qwen2Config(**sizes, use_sliding_window=True, max_window_layers=2)) is None
    assert window_of(transformers.Qwen2Config(**sizes, use_sliding_window=True, max_window_layers=1)) == 8


def test_rows_beyond_a_window_are_not_answered_wrongly() -> None:
    model = make_model(RAGGED["mistral with a wide window"]())
    model.config.sliding_window = 20
    with pytest.raises(AssertionError):
        decode(model, [draw(21, 1)], max_tokens=1, end_ids=ENDS)


def test_padded_rows_are_refused(llama: Any) -> None:
    ids = torch.tensor([draw(4, 1)])
    with ragged_attention(llama), pytest.raises(AssertionError, match="no padded rows"):
        llama(ids, attention_mask=torch.ones_like(ids), use_cache=False)


@pytest.mark.parametrize(("n_new", "n_past"), [(1, 0), (1, 9), (128, 0), (129, 3), (300, 70)])
def test_blocks_and_fused_kernels_attend_alike(n_new: int, n_past: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(heads, n, 16, generator=generator, dtype=torch.float64)
        for heads, n in ((6, n_new), (2, n_past + n_new), (2, n_past + n_new))
    )
    one, other = attend_in_blocks(query, key, value, 0.3), attend_fused(query, key, value, 0.3)
    torch.testing.assert_close(one, other)
    # The newest key is the newest query's alone.
    value[:, -1] += 1
    moved = (attend_in_blocks(query, key, value, 0.3) - one).abs().amax(dim=(0, 2))
    assert moved[-1] > 1e-3
    assert not moved[:-1].any()
