"""Retriever Trigger: whether memory answers a query, or the index is asked.

Source: Shi et al. 2024 (ERM4, arXiv 2407.10670), module Retriever Trigger. For a query q,
S_q = {titles t in memory: cos(emb(q), emb(t)) ≥ tau}; its popularity is |S_q|; from theta on, memory answers alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mode = Literal["popularity", "always", "pass"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """When a query is searched.

    Args:
        mode: 'popularity' is the published rule. For ablation: 'always' searches every query and adds what memory
            holds; 'pass' does not ask memory.
        tau: cosine from which a title is alike to a query, in [-1, 1]; published default .4.
        theta: alike titles from which a query is not searched, at least 1; published default 3.
    """

    mode: Mode = "popularity"
    tau: float = 0.4
    theta: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one query gets: places of the titles in S_q, most alike first, and whether it is searched."""

    alike: tuple[int, ...]
    search: bool


def decide(cosines: NDArray[np.float32], trigger: Trigger) -> Decision:
    """Apply the rule to one query.

    Titles alike to a query that is searched all the same are used too: what memory holds joins what is found.

    Args:
        cosines: of the query and every title in memory, [T]; none for an empty memory, which searches.
        trigger: the rule.
    """
    if trigger.mode == "pass":
        return Decision(alike=(), search=True)
    # Stable: titles equally alike stay in the order of memory.
    order = np.argsort(-cosines, kind="stable")
    alike = tuple(int(place) for place in order if cosines[place] >= trigger.tau)
    return Decision(alike=alike, search=trigger.mode == "always" or len(alike) < trigger.theta)
