from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from support.architectures import RAGGED, make_model
from torch.nn import functional

from fourfold.app.run import default_cache
from fourfold.errors import ModelError
from fourfold.llm.load import load_base
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import find_language_model
from fourfold.study import ModelSettings
from fourfold.tuning.attention import use_segment_attention
from fourfold.tuning.cit import penalty
from fourfold.tuning.prefix_tree import Branch, grow_trees
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.shared_rows import SharedBatch, plan_shared, shared_loss

TOLERANCE = {torch.float32: 5e-5, torch.float64: 1e-9}
N_VOCABULARY = 97


def words(n: int, seed: int) -> tuple[int, ...]:
    return tuple(torch.randint(3, N_VOCABULARY, (n,), generator=torch.Generator().manual_seed(seed)).tolist())


def row(name: str, prompt: tuple[int, ...], answer: tuple[int, ...], *spans: tuple[int, int]) -> TuningRow:
    return TuningRow(question_id=name, form="with contexts", prompt_ids=prompt, answer_ids=answer, document_spans=spans)


def make_rows() -> list[TuningRow]:
    """Two documents in instructions of 20 tokens; the second document is shared, half shared or another one."""
    head, first, second = words(20, 0), words(30, 1), words(44, 2)
    half = second[:20] + words(9, 3)
    spans, half_spans = ((20, 50), (50, 94)), ((20, 50), (50, 79))
    return [
        row("a", head + first + second + words(5, 4), (40, 41, 1), *spans),
        row("alone", words(33, 5), (7, 1)),
        row("b", head + first + second + words(9, 6), (50, 1), *spans),
        row("half", head + first + half + words(2, 7), (60, 61, 62, 1), *half_spans),
        # The prompt is all that it shares with a longer one: the answer starts at the branch point.
        row("prefix", head + first + second, (40, 1), *spans),
        row("other", head + words(28, 8) + words(4, 9), (8, 9, 1), (20, 48)),
    ]


def rms_norm(norm: Any, hidden: torch.Tensor) -> torch.Tensor:
    return functional.rms_norm(hidden, norm.weight.shape, norm.weight, norm.variance_epsilon)


def adapted(model: Any, dtype: torch.dtype) -> Any:
    """The model with a LoRA adapter by PEFT whose matrices are not 0."""
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    for norm in (module for module in model.modules() if type(module).__name__.endswith("RMSNorm")):
        # transformers' own rounds to float32, which turns a difference in the last bit of a float64 into 1e-7.
        norm.forward = partial(rms_norm, norm)
    with quiet_transformers():
        peft_model = get_peft_model(model.to(dtype), config, autocast_adapter_dtype=False).to(dtype)
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, matrix in peft_model.named_parameters():
            if "lora_" in name:
                matrix.copy_(torch.randn(matrix.shape, generator=random, dtype=torch.float64) * 0.05)
    return peft_model


def one_by_one(model: Any, rows: list[TuningRow], objective: Callable[..., torch.Tensor]) -> torch.Tensor:
    """The definition: each row alone, PyTorch's own attention, log-probabilities of every position."""
    model.set_attn_implementation("sdpa")
    answers, documents = [], []
    for one in rows:
        ids = torch.tensor(one.prompt_ids + one.answer_ids)
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
        logprobs = logits.log_softmax(-1).gather(1, ids[1:, None])[:, 0]
        answers.append(-logprobs[len(one.prompt_ids) - 1 :].sum())
        documents += [logprobs[start - 1 : end - 1].mean() for start, end in one.document_spans]
    return objective(torch.stack(answers).sum(), torch.stack(documents))


def together(
    model: Any, rows: list[TuningRow], objective: Callable[..., torch.Tensor], *, budget: int, n_vocabulary: int
) -> tuple[torch.Tensor, tuple[SharedBatch, ...]]:
    batches = plan_shared(rows, budget=budget, n_vocabulary=n_vocabulary, documents=True)
    use_segment_attention(model)
    found = [shared_loss(model, batch) for batch in batches]
    by_row: dict[int, list[torch.Tensor]] = {}
    for batch, part in zip(batches, found, strict=True):
        values = iter(part.document_logprobs)
        for number in batch.rows:
            by_row[number] = [next(values) for _ in rows[number].document_spans]
    documents = [value for number in range(len(rows)) for value in by_row[number]]
    loss = objective(torch.stack([part.answer_nll for part in found]).sum(), torch.stack(documents))
    return loss, batches


def cit(answers: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
    # A reference between the documents' values: some of the changes count and some do not.
    return answers + 3 * penalty(documents, documents.detach().mean().expand_as(documents), "hinge")


def answers_only(answers: torch.Tensor, _documents: torch.Tensor) -> torch.Tensor:
    return answers


def gradients(peft_model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    peft_model.zero_grad()
    loss.backward()
    return {name: part.grad.clone() for name, part in peft_model.named_parameters() if part.requires_grad}


def require_equal(peft_model: Any, rows: list[TuningRow], objective: Any, *, budget: int, tolerance: float) -> None:
    student = peft_model.get_base_model()
    n_vocabulary = len(student.get_output_embeddings().weight)
    alone = one_by_one(student, rows, objective)
    expected = gradients(peft_model, alone)
    shared, batches = together(student, rows, objective, budget=budget, n_vocabulary=n_vocabulary)
    found = gradients(peft_model, shared)
    assert sum(batch.table.n_tokens for batch in batches) < sum(batch.n_unshared for batch in batches)
    assert abs(float((shared - alone).detach() / alone.detach())) <= tolerance
    assert all(value.any() for value in expected.values())
    differences = {name: float((found[name] - value).norm() / value.norm()) for name, value in expected.items()}
    assert max(differences.values()) <= tolerance


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("objective", [answers_only, cit])
@pytest.mark.parametrize("name", ["llama", "qwen2"])
def test_loss_and_gradients_are_those_of_the_rows_alone(name: str, objective: Any, dtype: torch.dtype) -> None:
    peft_model = adapted(make_model(RAGGED[name]()), dtype)
    require_equal(peft_model, make_rows(), objective, budget=400, tolerance=TOLERANCE[dtype])


def test_a_tree_that_is_cut_to_the_budget_gives_the_same() -> None:
    peft_model = adapted(make_model(RAGGED["llama"]()), torch.float64)
    rows = make_rows()
    assert len(plan_shared(rows, budget=110, n_vocabulary=N_VOCABULARY, documents=True)) > 3
    require_equal(peft_model, rows, cit, budget=110, tolerance=TOLERANCE[torch.float64])


@pytest.mark.parametrize(
    ("n_layers", "dtype"),
    [
        (3, torch.float32),
        # A minute each, and 1.1 GB in float64.
        pytest.param(30, torch.float32, marks=pytest.mark.long),
        pytest.param(30, torch.float64, marks=pytest.mark.long),
    ],
)
def test_on_smollm2_loss_and_gradients_are_those_of_the_rows_alone(n_layers: int, dtype: torch.dtype) -> None:
    weights = find_language_model("embedded", default_cache(os.environ))
    model = load_base(weights, ModelSettings(dtype="float32", quantisation="none"), device="cpu")
    model.model.layers = model.model.layers[:n_layers]
    context = tuple(range(200, 224))
    rows = [
        row(str(number), context + tuple(range(900 + number, 903 + number)), (500 + number, 2), (1, 24))
        for number in range(2)
    ]
    require_equal(adapted(model, dtype), rows, cit, budget=400, tolerance=TOLERANCE[dtype])


def test_a_changed_shared_loss_would_be_noticed() -> None:
    peft_model = adapted(make_model(RAGGED["llama"]()), torch.float64)

    def bent(answers: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        return cit(answers, documents[: len(documents) - 1])

    student, rows = peft_model.get_base_model(), make_rows()
    alone = one_by_one(student, rows, cit)
    shared, _ = together(student, rows, bent, budget=400, n_vocabulary=N_VOCABULARY)
    assert abs(float((shared - alone).detach() / alone.detach())) > 1e-3


def test_what_rows_share_is_read_once() -> None:
    (batch,) = plan_shared(make_rows(), budget=400, n_vocabulary=N_VOCABULARY, documents=True)
    # Instructions 20, documents 30 and 44 (20 of them in "half" too), then what is each row's own.
    own = (5 + 3) + (33 + 2) + (9 + 2) + (9 + 2 + 4) + 2 + (32 + 3)
    assert batch.table.n_tokens == 20 + 30 + 44 + own
    assert batch.n_unshared == sum(one.n_tokens for one in make_rows())
    assert batch.rows == (0, 1, 2, 3, 4, 5)


def test_a_document_of_several_rows_is_scored_once_and_stands_for_each() -> None:
    (batch,) = plan_shared(make_rows(), budget=400, n_vocabulary=N_VOCABULARY, documents=True)
    # First document, second, half of it with an end of its own, another.
    assert sorted(batch.document_lengths) == [28, 29, 30, 44]
    by_length = [batch.document_lengths[number] for number in batch.documents.tolist()]
    assert by_length == [30, 44, 30, 44, 30, 29, 30, 44, 28]


def test_without_documents_only_answers_go_through_the_head() -> None:
    (batch,) = plan_shared(make_rows(), budget=400, n_vocabulary=N_VOCABULARY, documents=False)
    assert len(batch.targets.tokens) == len(batch.answers) == sum(len(one.answer_ids) for one in make_rows())
    assert len(batch.documents) == 0


def test_every_row_ends_in_tokens_of_its_own() -> None:
    same = [row(str(n), words(40, 0), (5, 1)) for n in range(3)]
    (tree,) = grow_trees(same, budget=400)
    ends = [branch for branch in tree.walk() if not branch.children]
    assert sorted(branch.row for branch in ends) == [0, 1, 2]
    assert {(branch.start, branch.end) for branch in ends} == {(40, 42)}


def test_short_common_beginnings_are_repeated() -> None:
    rows = [row(str(n), words(15, 0) + words(20, n + 1), (1,)) for n in range(2)]
    assert grow_trees(rows, budget=400) == tuple(
        Branch(row=number, start=0, end=36) for number in sorted(range(2), key=lambda number: rows[number].prompt_ids)
    )


def test_trees_keep_to_the_budget_and_hold_every_row_once() -> None:
    rows = [row(str(n), words(50, n % 2) + words(10 + n, n + 5), (1, 2)) for n in range(12)]
    trees = grow_trees(rows, budget=120)
    assert all(tree.size <= 120 for tree in trees)
    ends = [branch.row for tree in trees for branch in tree.walk() if not branch.children]
    assert sorted(ends) == list(range(12))


def test_a_row_over_the_budget_is_named() -> None:
    with pytest.raises(ModelError, match=r"question b: 105 tokens\n  expected: at most 104 tokens"):
        plan_shared(make_rows(), budget=104, n_vocabulary=N_VOCABULARY, documents=False)


def test_an_output_head_that_is_trained_adapted_or_biased_is_refused() -> None:
    (batch,) = plan_shared(make_rows(), budget=400, n_vocabulary=N_VOCABULARY, documents=False)
    model = make_model(RAGGED["llama"]())
    use_segment_attention(model)
    model.get_output_embeddings().weight.requires_grad_()
    with pytest.raises(ModelError, match="Linear, trained: True"):
        shared_loss(model, batch)
    model.lm_head = torch.nn.Linear(32, N_VOCABULARY).requires_grad_(False)
    with pytest.raises(ModelError, match="a frozen linear layer without bias"):
        shared_loss(model, batch)
    model.config.final_logit_softcapping = 30.0
    with pytest.raises(ModelError, match="final_logit_softcapping"):
        shared_loss(model, batch)
