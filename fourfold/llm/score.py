"""Log-probabilities of given continuations: shared beginnings, prompts and continuations are each read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fourfold.llm.attention import ragged_attention
from fourfold.llm.decode import MIN_SHARED, PASS_TOKENS, forward, read_prefixes
from fourfold.llm.kv_cache import Piece
from fourfold.llm.plans import Segment
from fourfold.llm.prefix import TokenIds, group_by_prefix, pack

# Logits held at once, in positions: 50 MB of float32 for a vocabulary of 49,152.
PASS_LOGITS = 256

Continuations = Sequence[TokenIds]
Logprobs = list[float]


def score(model: Any, rows: Sequence[TokenIds], continuations: Sequence[Continuations]) -> list[list[Logprobs]]:
    """Natural log-probability of each token of each row's own continuations.

    Args:
        model: a causal language model of transformers for which `attention.why_not` is None.
        rows: token ids of each prompt, at least one each.
        continuations: of each row, any number of any length.

    Returns:
        Per row, per continuation, a number per token: given the row and the continuation's earlier tokens.
    """
    import torch

    found: list[list[Logprobs]] = [[] for _ in rows]
    groups = group_by_prefix(rows, minimum=MIN_SHARED)
    with torch.inference_mode(), ragged_attention(model):
        for group in groups:
            # One prefix at a time: many groups' would fill the memory.
            (prefix,) = read_prefixes(model, rows, [group])
            own = [rows[row][group.n_shared :] for row in group.members]
            for places in _passes([len(ids) for ids in own], [1] * len(own)):
                members = [group.members[at] for at in places]
                scored = _score_pass(
                    model,
                    [(rows[row], group.n_shared) for row in members],
                    prefix,
                    [continuations[row] for row in members],
                )
                for row, logprobs in zip(members, scored, strict=True):
                    found[row] = logprobs
    return found


def _score_pass(
    model: Any, rows: Sequence[tuple[TokenIds, int]], prefix: Piece | None, wanted: Sequence[Continuations]
) -> list[list[Logprobs]]:
    """The prompts of one pass, each with its shared length, then what of their continuations is left to read."""
    past = () if prefix is None else (prefix,)
    own = [Piece() if any(len(ids) > 1 for ids in of_row) else None for of_row in wanted]
    segments = [
        Segment(token_ids=ids[n_shared:], start=n_shared, past=past, store=piece)
        for (ids, n_shared), piece in zip(rows, own, strict=True)
    ]
    after_prompt = _logprobs(model, segments, [[(-1, [ids[0] for ids in of_row if ids])] for of_row in wanted])
    found: list[list[Logprobs]] = []
    later: list[tuple[Segment, TokenIds, Logprobs]] = []
    for (row, _), piece, of_row, first in zip(rows, own, wanted, after_prompt, strict=True):
        firsts = iter(first)
        of_this = [[next(firsts)] if ids else [] for ids in of_row]
        found.append(of_this)
        if piece is not None:
            later += [
                (Segment(token_ids=ids[:-1], start=len(row), past=(*past, piece)), ids, logprobs)
                for ids, logprobs in zip(of_row, of_this, strict=True)
                if len(ids) > 1
            ]
    lengths = [len(ids) - 1 for _, ids, _ in later]
    for places in _passes(lengths, lengths):
        some = [later[at] for at in places]
        asked = [[(at, [token]) for at, token in enumerate(ids[1:])] for _, ids, _ in some]
        read = _logprobs(model, [segment for segment, _, _ in some], asked)
        for (_, _, logprobs), more in zip(some, read, strict=True):
            logprobs.extend(more)
    return found


def _passes(tokens: Sequence[int], logits: Sequence[int]) -> list[list[int]]:
    """Places that go through the model together: bounded by tokens, then by positions whose logits are wanted."""
    return [
        [places[at] for at in part]
        for places in pack(tokens, budget=PASS_TOKENS)
        for part in pack([logits[at] for at in places], budget=PASS_LOGITS)
    ]


def _logprobs(
    model: Any, segments: Sequence[Segment], asked: Sequence[Sequence[tuple[int, Sequence[int]]]]
) -> list[Logprobs]:
    """Of each segment: log-probabilities of the tokens asked for after each of its places (-1: its last)."""
    import torch

    wanted: list[int] = []
    chosen: list[tuple[int, int]] = []
    counts: list[int] = []
    start = 0
    for segment, of_segment in zip(segments, asked, strict=True):
        length = len(segment.token_ids)
        for at, tokens in of_segment:
            chosen += [(len(wanted), token) for token in tokens]
            wanted.append(start + at % length)
        counts.append(sum(len(tokens) for _, tokens in of_segment))
        start += length
    logits = forward(model, segments, wanted)
    assert logits is not None
    wide = logits.float()
    row, token = torch.tensor(chosen, dtype=torch.long, device=wide.device).view(-1, 2).unbind(1)
    numbers = iter((wide[row, token] - wide.logsumexp(dim=1)[row]).tolist())
    return [[next(numbers) for _ in range(count)] for count in counts]
