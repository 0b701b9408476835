"""Training on shared contexts: rows whose prompts begin alike are read together, what they share once.

Loss and gradients are those of the rows one by one (the tests hold them equal): each token keeps its position and
sees what it saw, a context's last token predicts the first token of every row that goes on from it, and gradients of
shared tokens add up over those rows. A LoRA dropout above 0 would draw one mask for a context where the rows alone draw
several: the loss is then equal in expectation only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fourfold.errors import ModelError
from fourfold.tuning.attention import refusal
from fourfold.tuning.loss import PassLoss, require_plain_head
from fourfold.tuning.prefix_tree import Branch, grow_trees
from fourfold.tuning.rows import TuningRow

if TYPE_CHECKING:
    import torch

    from fourfold.kernels.packing import Node, Row
    from fourfold.kernels.segment_attention import SegmentTable
    from fourfold.kernels.span_cross_entropy import SpanTargets


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBatch:
    """What one forward pass sees: a row of T tokens with what several rows share in it once.

    Attributes:
        rows: which rows it holds, by their numbers.
        input_ids: int64 [T].
        table: who sees whom.
        targets: the tokens that are learnt or scored.
        answers: int64 [A]; which targets are answer tokens.
        document_tokens: int64; the targets that are tokens of each distinct document, one document after another.
        document_lengths: tokens of each distinct document.
        documents: int64 [D]; the distinct document that each span of each row of `rows` is, in their order.
        n_unshared: tokens of the same rows, each with its own copy of what it shares.
    """

    rows: tuple[int, ...]
    input_ids: torch.Tensor
    table: SegmentTable
    targets: SpanTargets
    answers: torch.Tensor
    document_tokens: torch.Tensor
    document_lengths: tuple[int, ...]
    documents: torch.Tensor
    n_unshared: int

    def to(self, device: torch.device | str) -> SharedBatch:
        """The same on another device."""
        moved = {
            name: getattr(self, name).to(device)
            for name in ("input_ids", "table", "targets", "answers", "document_tokens", "documents")
        }
        return dataclasses.replace(self, **moved)


def plan_shared(
    rows: Sequence[TuningRow], *, budget: int, n_vocabulary: int, documents: bool
) -> tuple[SharedBatch, ...]:
    """Rows as passes of at most `budget` tokens, none of them padding, on the CPU.

    Args:
        rows: one or more, of one optimiser step.
        budget: tokens of a pass, at least the longest row's.
        n_vocabulary: rows of the output head.
        documents: whether the likelihood of the rows' `document_spans` is asked for.

    Raises:
        ModelError: a row over the budget.
    """
    return lay_out(rows, grow_trees(rows, budget=budget), budget=budget, n_vocabulary=n_vocabulary, documents=documents)


def lay_out(
    rows: Sequence[TuningRow], trees: Sequence[Branch], *, budget: int, n_vocabulary: int, documents: bool
) -> tuple[SharedBatch, ...]:
    """As `plan_shared`, of trees that are given: none over the budget, together holding every row once as an end."""
    from fourfold.kernels.packing import pack

    packing = pack([_node(tree) for tree in trees], n_tokens=budget)
    return tuple(
        _lay_out_row(
            rows, [trees[number] for number in row.groups], row, n_vocabulary=n_vocabulary, documents=documents
        )
        for row in packing.rows
    )


def n_read(steps: Iterable[Sequence[TuningRow]], *, budget: int) -> int:
    """Tokens that passes over the steps' rows read, what a pass shares once."""
    return sum(tree.size for rows in steps for tree in grow_trees(rows, budget=budget))


def shared_loss(model: Any, batch: SharedBatch) -> PassLoss:
    """Loss and documents' log-probabilities of one pass, spans in the order of the batch's `rows`.

    A document that several rows share is scored once and stands for each.

    Args:
        model: a transformers causal language model after `tuning.attention.use_segment_attention`; its layers may be
            PEFT's.
        batch: on its device.

    Raises:
        ModelError: its logits are more than a frozen matrix of its hidden states, or its attention is more than
            segment attention.
    """
    import torch

    from fourfold.kernels.span_cross_entropy import span_cross_entropy

    head = frozen_head(model)
    try:
        hidden = model.get_decoder()(
            input_ids=batch.input_ids[None],
            position_ids=batch.table.position_ids[None].long(),
            use_cache=False,
            segment_table=batch.table,
        ).last_hidden_state[0]
    except ValueError as error:
        raise refusal(str(error)) from error
    nll = span_cross_entropy(hidden, head, batch.targets, impl="triton" if hidden.is_cuda else "cpu").nll
    scored = torch.split(nll[batch.document_tokens], list(batch.document_lengths))
    means = torch.stack([-document.mean() for document in scored]) if scored else nll.new_empty(0)
    return PassLoss(answer_nll=nll[batch.answers].sum(), document_logprobs=means[batch.documents])


def frozen_head(model: Any) -> torch.Tensor:
    """The matrix [V, H] that turns hidden states into logits.

    Raises:
        ModelError: it is trained, adapted or has a bias, or the model changes its logits after it.
    """
    import torch

    require_plain_head(model.config)
    head = model.get_output_embeddings()
    if type(head) is torch.nn.Linear and head.bias is None and not head.weight.requires_grad:
        weight: torch.Tensor = head.weight
        return weight
    raise ModelError(
        "shared contexts cannot be trained with this output head",
        seen=f"{type(head).__name__}, trained: {any(part.requires_grad for part in head.parameters())}",
        expected="a frozen linear layer without bias",
        hint="use a method that leaves the output head alone, or set tuning.attention to sdpa",
    )


def _node(branch: Branch) -> Node:
    from fourfold.kernels.packing import Node

    return Node(n_tokens=branch.end - branch.start, children=tuple(_node(child) for child in branch.children))


def _lay_out_row(
    rows: Sequence[TuningRow], trees: Sequence[Branch], packed: Row, *, n_vocabulary: int, documents: bool
) -> SharedBatch:
    import torch

    table = _without_padding(packed.table)
    places: dict[int, list[int]] = {}
    for tree, start in zip(trees, packed.starts, strict=True):
        _place(tree, start, [], places)
    held = tuple(sorted(places))
    spans = [(number, span) for number in held if documents for span in rows[number].document_spans]
    shown = [tuple(places[number][start:end]) for number, (start, end) in spans]
    distinct = list(dict.fromkeys(shown))
    ids = torch.empty(table.n_tokens, dtype=torch.int64)
    answers = []
    for number in held:
        row = rows[number]
        ids[places[number]] = torch.tensor(row.prompt_ids + row.answer_ids)
        answers += places[number][len(row.prompt_ids) :]
    targets, found = _targets(ids, table, answers, [place for document in distinct for place in document], n_vocabulary)
    number_of = {document: number for number, document in enumerate(distinct)}
    return SharedBatch(
        rows=held,
        input_ids=ids,
        table=table,
        targets=targets,
        answers=found[answers],
        document_tokens=found[[place for document in distinct for place in document]],
        document_lengths=tuple(map(len, distinct)),
        documents=torch.tensor([number_of[document] for document in shown], dtype=torch.int64),
        n_unshared=sum(rows[number].n_tokens for number in held),
    )


def _targets(
    ids: torch.Tensor, table: SegmentTable, answers: list[int], context: list[int], n_vocabulary: int
) -> tuple[SpanTargets, torch.Tensor]:
    """The targets, and for each token of the row which of them it is."""
    import torch

    from fourfold.kernels.span_cross_entropy import Span, span_targets, span_weights

    spans = torch.full((len(ids),), int(Span.IGNORE))
    spans[context] = int(Span.CONTEXT)
    spans[answers] = int(Span.ANSWER)
    weights = span_weights(spans, table.multiplicity, answer=1.0, context=1.0, dtype=torch.float32)
    targets = span_targets(ids, table.predictors, weights, n_rows=len(ids), n_vocabulary=n_vocabulary)
    found = torch.full((len(ids),), -1)
    found[targets.places] = torch.arange(len(targets.places))
    return targets, found


def _place(branch: Branch, start: int, before: list[int], places: dict[int, list[int]]) -> int:
    """Note where each row's tokens stand; returns where the branch and all below it end."""
    end = start + branch.end - branch.start
    path = before + list(range(start, end))
    if not branch.children:
        places[branch.row] = path
    for child in branch.children:
        end = _place(child, end, path, places)
    return end


def _without_padding(table: SegmentTable) -> SegmentTable:
    """The table of the same row without the padding at its end: what is computed is what is used."""
    n = table.n_used
    return dataclasses.replace(
        table,
        n_tokens=n,
        position_ids=table.position_ids[:n],
        predictors=table.predictors[:n],
        multiplicity=table.multiplicity[:n],
    )
