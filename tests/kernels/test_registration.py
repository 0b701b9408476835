from __future__ import annotations

from typing import Any

import pytest
import torch
from support.architectures import PLAIN, RAGGED, make_model

from fourfold.kernels.packing import Node, pack
from fourfold.kernels.registration import register
from fourfold.kernels.segment_attention import SegmentTable


def node(n_tokens: int, *children: Node) -> Node:
    return Node(n_tokens=n_tokens, children=children)


# Shared contexts, one of two levels, a document and padding.
TABLE = (
    pack([node(20, node(6), node(9, node(5), node(4)), node(7)), node(30, node(70)), node(11)], n_tokens=170)
    .rows[0]
    .table
)
LIMIT = {torch.float32: 5e-5, torch.float64: 1e-9}


def paths(table: SegmentTable) -> list[list[int]]:
    """Places of each whole sequence, found by following predictors back from the tokens that predict nothing."""
    before = table.predictors.tolist()
    last = [place for place in range(table.n_tokens) if table.multiplicity[place] and place not in before]
    found = []
    for place in last:
        path = [place]
        while before[path[-1]] >= 0:
            path.append(before[path[-1]])
        found.append(path[::-1])
    return found


def make(name: str, dtype: torch.dtype) -> Any:
    # Small weights: with large ones the loss has curvature that turns rounding into more than the limit.
    config = RAGGED[name]()
    config.initializer_range = 0.1
    model = make_model(config).to(dtype).requires_grad_()
    if dtype == torch.float64:
        _widen_norms(model)
    return model


def _widen_norms(model: Any) -> None:
    """transformers' norms compute in fp32, whatever the model's dtype; these do in their input's."""
    for parent in list(model.modules()):
        for name, norm in list(parent.named_children()):
            if type(norm).__name__ in {"LlamaRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm"}:
                wide = torch.nn.RMSNorm(norm.weight.shape, eps=norm.variance_epsilon)
                wide.weight = norm.weight
                setattr(parent, name, wide)


def call(model: Any, ids: torch.Tensor, **keywords: Any) -> Any:
    model.set_attn_implementation("segment")
    given = {"position_ids": TABLE.position_ids[None], "use_cache": False, "segment_table": TABLE, **keywords}
    return model(input_ids=ids[None], **given)


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    register()
    register()


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(2, 97, (TABLE.n_tokens,), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("llama", torch.float32), ("qwen2", torch.float32)]
    + [(name, torch.float64) for name in ("llama", "smollm2", "qwen2", "qwen3")],
)
def test_a_shared_row_gives_the_unshared_rows_logits_loss_and_gradients(
    name: str, dtype: torch.dtype, ids: torch.Tensor
) -> None:
    model = make(name, dtype)
    logits = call(model, ids).logits[0]
    # Each token's loss stands at its predictor, once for every sequence that holds it.
    predicted = TABLE.predictors >= 0
    nll = torch.nn.functional.cross_entropy(logits[TABLE.predictors[predicted]], ids[predicted], reduction="none")
    loss = (TABLE.multiplicity[predicted] * nll).sum()
    loss.backward()
    shared = {key: parameter.grad.clone() for key, parameter in model.named_parameters()}
    model.zero_grad()
    model.set_attn_implementation("sdpa")
    unshared = 0.0
    assert len(paths(TABLE)) == 6
    for path in paths(TABLE):
        own = model(input_ids=ids[path][None], use_cache=False).logits[0]
        torch.testing.assert_close(logits[path], own, rtol=LIMIT[dtype], atol=LIMIT[dtype])
        one = torch.nn.functional.cross_entropy(own[:-1], ids[path[1:]], reduction="sum")
        one.backward()
        unshared += one.item()
    assert loss.item() == pytest.approx(unshared, rel=LIMIT[dtype])
    for key, parameter in model.named_parameters():
        error = (shared[key] - parameter.grad).norm() / parameter.grad.norm()
        assert error <= LIMIT[dtype], key


def test_the_table_is_what_counts(ids: torch.Tensor) -> None:
    model = make("llama", torch.float64)
    other = pack([node(51), node(100), node(11)], n_tokens=170).rows[0].table
    own, wrong = call(model, ids).logits, call(model, ids, segment_table=other).logits
    assert (own - wrong).abs().max() > 0.01


@pytest.mark.parametrize("name", RAGGED)
def test_architectures_that_are_supported(name: str, ids: torch.Tensor) -> None:
    model = make(name, torch.float64)
    logits = call(model, ids).logits[0]
    model.set_attn_implementation("sdpa")
    for path in paths(TABLE):
        torch.testing.assert_close(logits[path], model(input_ids=ids[path][None], use_cache=False).logits[0])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"segment_table": None}, "segment_table is missing"),
        ({"attention_mask": torch.ones(1, 170)}, r"attention_mask of shape \(1, 170\) is given: must be None"),
        ({"attention_mask": torch.ones(1, 1, 170, 170)}, r"attention_mask of shape \(1, 1, 170, 170\) is given"),
        ({"output_attentions": True}, "output_attentions: segment attention has no such thing"),
        ({"cu_seq_lens_q": torch.tensor([0, 170])}, "cu_seq_lens_q: segment attention has no such thing"),
        ({"is_causal": False}, "is_causal = False: segment attention is causal"),
    ],
)
def test_what_cannot_be_honoured_in_a_call_is_refused(
    keywords: dict[str, Any], message: str, ids: torch.Tensor
) -> None:
    with pytest.raises(ValueError, match=message):
        call(make("llama", torch.float32), ids, **keywords)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gemma2", {}, "a window or chunk of 16 tokens: must be none, or the row's 170 at least"),
        ("gemma2", {"sliding_window": 1000}, "softcap: segment attention has no such thing"),
        ("gpt-oss with sinks", {"sliding_window": 1000}, "s_aux: segment attention has no such thing"),
    ],
)
def test_models_with_another_attention_are_refused(
    name: str, settings: dict[str, Any], message: str, ids: torch.Tensor
) -> None:
    config = PLAIN[name]()
    for key, setting in settings.items():
        setattr(config, key, setting)
    with pytest.raises(ValueError, match=message):
        call(make_model(config), ids)


def test_a_window_that_hides_something_is_refused(ids: torch.Tensor) -> None:
    config = RAGGED["mistral with a wide window"]()
    config.sliding_window = 169
    with pytest.raises(ValueError, match="a window or chunk of 169 tokens: must be none, or the row's 170"):
        call(make_model(config), ids)


def test_attention_dropout_is_refused(ids: torch.Tensor) -> None:
    model = make("llama", torch.float32).train()
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.1
    with pytest.raises(ValueError, match=r"attention dropout = 0\.1: must be 0"):
        call(model, ids)


def test_several_rows_are_refused(ids: torch.Tensor) -> None:
    model = make("llama", torch.float32)
    model.set_attn_implementation("segment")
    with pytest.raises(ValueError, match="the batch has 2 rows: must be 1"):
        model(input_ids=ids.expand(2, -1), use_cache=False, segment_table=TABLE)


def test_a_cache_with_tokens_in_it_is_refused(ids: torch.Tensor) -> None:
    model = make("llama", torch.float32)
    cache = call(model, ids, use_cache=True).cache
    with pytest.raises(ValueError, match="171 keys for 1 queries: must be equal, segment attention has no cache"):
        model(input_ids=ids[None, :1], cache=cache, segment_table=TABLE)


def test_masks_of_a_model_s_own_are_refused() -> None:
    from transformers.masking_utils import create_causal_mask

    model = make("llama", torch.float32)
    model.set_attn_implementation("segment")
    given = {"config": model.config, "inputs_embeds": torch.zeros(1, 170, 32), "attention_mask": None, "cache": None}
    assert create_causal_mask(**given) is None
    assert create_causal_mask(**given, position_ids=TABLE.position_ids[None]) is None
    with pytest.raises(ValueError, match="adds a mask function of its own"):
        create_causal_mask(**given, or_mask_function=lambda *_: True)
    blocks = torch.full((1, 170), -1)
    assert create_causal_mask(**given, block_sequence_ids=blocks) is None
    blocks[0, 50:60] = 0
    with pytest.raises(ValueError, match="lets a token see a later one"):
        create_causal_mask(**given, block_sequence_ids=blocks)
    model.config.is_causal = False
    with pytest.raises(ValueError, match="segment attention is causal"):
        create_causal_mask(**given)
