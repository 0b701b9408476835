"""Greedy decoding of a batch: shared beginnings read once, own ends in ragged passes, then all rows together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fourfold.llm.attention import ragged_attention
from fourfold.llm.kv_cache import Piece, RowCache
from fourfold.llm.plans import Decode, Prefill, Segment, Shared
from fourfold.llm.prefix import Group, TokenIds, group_by_prefix, pack

if TYPE_CHECKING:
    import torch

# Tokens that go through the model in one pass: more cost memory; no difference in time was found from 512 to 4096.
PASS_TOKENS = 2048
# Shared tokens from which a pass of their own is paid back, even by two rows.
MIN_SHARED = 32
# Rows from which reading a prefix once a step pays for a call of its own in every layer; fewer copy it.
MIN_ROWS = 4
# Ended rows are dropped when this share of the rows has ended: each new number of rows costs the linear layers a
# kernel, and a row dropped moves another.
ENDED_SHARE = 0.25


@dataclass(slots=True, kw_only=True)
class Written:
    """What one row wrote: token ids, the end included, and their natural log-probabilities."""

    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Rows that decode together. `order` names the row of each of a group's places."""

    groups: list[Shared]
    order: list[list[int]]

    @property
    def rows(self) -> list[int]:
        return [row for order in self.order for row in order]


def decode(model: Any, rows: Sequence[TokenIds], *, max_tokens: int, end_ids: frozenset[int]) -> list[Written]:
    """Go on from each row greedily until one of `end_ids` or `max_tokens`.

    Args:
        model: a causal language model of transformers for which `attention.why_not` is None.
        rows: token ids of each prompt, at least one each.
        max_tokens: at least 1.
        end_ids: tokens that end an answer; they are part of it.

    Returns:
        What each row wrote, in order.
    """
    import torch

    written = [Written() for _ in rows]
    with torch.inference_mode(), ragged_attention(model):
        batch, logits = _read(model, rows, max_tokens)
        order = batch.rows
        tokens = _note(logits, order, written)
        running = [row for row in order if written[row].token_ids[-1] not in end_ids]
        for _ in range(max_tokens - 1):
            if len(order) - len(running) >= max(1, math.ceil(ENDED_SHARE * len(order))):
                batch, kept = _drop(batch, set(running))
                tokens, order = tokens[torch.tensor(kept, device=tokens.device, dtype=torch.long)], batch.rows
            if not running:
                break
            logits = _step(model, batch, tokens, [len(rows[row]) + len(written[row].token_ids) - 1 for row in order])
            tokens = _note(logits, order, written)
            running = [row for row in running if written[row].token_ids[-1] not in end_ids]
    return [until_end(one, end_ids) for one in written]


def stream(model: Any, row: TokenIds, *, max_tokens: int, end_ids: frozenset[int]) -> Iterator[int]:
    """One row's tokens as they are written, the end included; see `decode`.

    Between two of them the model is free for others.
    """
    import torch

    written = [Written()]
    with torch.inference_mode(), ragged_attention(model):
        batch, logits = _read(model, [row], max_tokens)
        tokens = _note(logits, [0], written)
    for n_written in range(1, max_tokens + 1):
        yield written[0].token_ids[-1]
        if n_written == max_tokens or written[0].token_ids[-1] in end_ids:
            return
        with torch.inference_mode(), ragged_attention(model):
            tokens = _note(_step(model, batch, tokens, [len(row) + n_written - 1]), [0], written)


def forward(model: Any, segments: Sequence[Segment], wanted: Sequence[int] | None) -> torch.Tensor | None:
    """One ragged pass.

    Args:
        model: with `ragged_attention` open.
        segments: in the order in which their tokens stand.
        wanted: positions in that order whose logits are wanted; None for none at all.

    Returns:
        Logits [wanted, V].
    """
    import torch

    device = model.device
    ids = [token for segment in segments for token in segment.token_ids]
    places = [segment.start + at for segment in segments for at in range(len(segment.token_ids))]
    inputs = {
        "input_ids": torch.tensor([ids], device=device),
        "position_ids": torch.tensor([places], device=device),
        "use_cache": False,
        "plan": Prefill(segments),
    }
    if wanted is None:
        model.base_model(**inputs)
        return None
    # The head sees these positions only.
    logits: torch.Tensor = model(**inputs, logits_to_keep=torch.tensor(wanted, device=device)).logits[0]
    return logits


def read_prefixes(model: Any, rows: Sequence[TokenIds], groups: Sequence[Group]) -> list[Piece | None]:
    """Keys and values of what each group shares; None where it shares nothing."""
    pieces = [Piece() if group.n_shared else None for group in groups]
    segments = [
        Segment(token_ids=rows[group.members[0]][: group.n_shared], store=piece)
        for group, piece in zip(groups, pieces, strict=True)
        if piece is not None
    ]
    for places in pack([len(segment.token_ids) for segment in segments], budget=PASS_TOKENS):
        forward(model, [segments[at] for at in places], None)
    return pieces


def last_logits(model: Any, segments: Sequence[Segment]) -> torch.Tensor:
    """Logits [segments, V] after the last token of each segment, in passes of `PASS_TOKENS`."""
    import torch

    found = []
    for places in pack([len(segment.token_ids) for segment in segments], budget=PASS_TOKENS):
        some = [segments[at] for at in places]
        ends = torch.tensor([len(segment.token_ids) for segment in some]).cumsum(0) - 1
        found.append(forward(model, some, ends.tolist()))
    return torch.cat([logits for logits in found if logits is not None])


def _read(model: Any, rows: Sequence[TokenIds], max_tokens: int) -> tuple[_Batch, torch.Tensor]:
    """Read the prompts: the rows ready to decode, and logits [R, V] after each prompt in the batch's order."""
    groups = group_by_prefix(rows, minimum=MIN_SHARED)
    prefixes = read_prefixes(model, rows, groups)
    alone = [
        (row, prefix)
        for group, prefix in zip(groups, prefixes, strict=True)
        if prefix is None or len(group.members) < MIN_ROWS
        for row in group.members
    ]
    room = max_tokens - 1
    shared, order, segments = [], [], []
    for group, prefix in zip(groups, prefixes, strict=True):
        if prefix is None or len(group.members) < MIN_ROWS:
            continue
        own = [rows[row][group.n_shared :] for row in group.members]
        cache = RowCache([len(ids) for ids in own], room)
        shared.append(Shared(prefix=prefix, cache=cache))
        order.append(list(group.members))
        segments += [
            Segment(token_ids=ids, start=group.n_shared, past=(prefix,), store=cache.slot(at))
            for at, ids in enumerate(own)
        ]
    if alone:
        cache = RowCache([len(rows[row]) for row, _ in alone], room)
        shared.append(Shared(prefix=None, cache=cache))
        order.append([row for row, _ in alone])
        segments += [_alone(rows[row], cache, at, prefix) for at, (row, prefix) in enumerate(alone)]
    return _Batch(groups=shared, order=order), last_logits(model, segments)


def _alone(ids: TokenIds, cache: RowCache, at: int, prefix: Piece | None) -> Segment:
    """A row that holds all its keys and values itself; those of a prefix that was read for a few rows are copied."""
    if prefix is None:
        return Segment(token_ids=ids, store=cache.slot(at))
    cache.slot(at).copy(prefix)
    n_shared = prefix.keys[0].shape[1]
    return Segment(token_ids=ids[n_shared:], start=n_shared, past=(prefix,), store=cache.slot(at, n_shared))


def _step(model: Any, batch: _Batch, tokens: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
    """Logits [R, V] after one more token a row."""
    import torch

    for group in batch.groups:
        group.cache.advance()
    logits: torch.Tensor = model(
        input_ids=tokens[None],
        position_ids=torch.tensor([places], device=tokens.device),
        use_cache=False,
        plan=Decode(batch.groups, longest=max(places) + 1),
    ).logits[0]
    return logits


def _note(logits: torch.Tensor, order: Sequence[int], written: Sequence[Written]) -> torch.Tensor:
    """Write each row's likeliest token [R] down."""
    wide = logits.float()
    best, tokens = wide.max(dim=1)
    # The log-sum-exp in place: torch's own allocates vocabulary-sized tensors anew at every step.
    logprobs = -wide.sub_(best[:, None]).exp_().sum(dim=1).log_()
    for row, token, logprob in zip(order, tokens.tolist(), logprobs.tolist(), strict=True):
        written[row].token_ids.append(token)
        written[row].logprobs.append(logprob)
    return tokens


def _drop(batch: _Batch, running: set[int]) -> tuple[_Batch, list[int]]:
    """The batch without ended rows, and the former place of each row that is left."""
    groups, orders, kept = [], [], []
    start = 0
    for group, order in zip(batch.groups, batch.order, strict=True):
        places = group.cache.keep([at for at, row in enumerate(order) if row in running])
        kept += [start + at for at in places]
        start += len(order)
        if places:
            groups.append(group)
            orders.append([order[at] for at in places])
    return _Batch(groups=groups, order=orders), kept


def until_end(one: Written, end_ids: frozenset[int]) -> Written:
    """Without what a row wrote after its end, while others went on."""
    length = next((at for at, token in enumerate(one.token_ids, start=1) if token in end_ids), len(one.token_ids))
    return Written(token_ids=one.token_ids[:length], logprobs=one.logprobs[:length])
