"""Two answers side by side, always in both orders; where the orders disagree it is a tie.

Source: Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", arXiv 2306.05685, section 3.4
(position swapping; inconsistent is a tie) and 3.3 (position and length bias).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.estimate import Estimate
from fourfold.evals.judge.blinding import blind
from fourfold.evals.judge.expectation import expected_value
from fourfold.evals.judge.parse import Unreadable, parse_rating
from fourfold.evals.judge.port import Judge
from fourfold.evals.judge.prompts import PAIR_LABELS, How, pair_chat
from fourfold.llm.port import Chat, Completion, Refusal
from fourfold.types import Arm, Preference

Choice = Literal["first", "second", "tie"]
_CHOICES: tuple[Choice, ...] = ("first", "second", "tie")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairItem:
    """One question with two arms' answers."""

    question_id: str
    question: str
    reference: str
    a: Arm
    b: Arm
    answer_a: str
    answer_b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """How often a is preferred to b.

    Args:
        a: an arm.
        b: another.
        rate: mean of 1 (a in both orders), 0 (b in both orders) and .5 (tie); .5 is no preference.
        wins: questions on which a is preferred.
        ties: on which neither is.
        losses: on which b is.
        n_failed: on which the judge failed in an order, or an arm did.
    """

    a: str
    b: str
    rate: Estimate
    wins: int
    ties: int
    losses: int
    n_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBias:
    """What moves the judge beside the answers.

    Args:
        judge: its name.
        position: share of pairs for which the same place, not the same answer, is preferred in both orders.
        first: share of such pairs that go to the first place less the share that go to the second.
        length: of the pairs that have a preferred answer and differ in length, the share that prefer the longer one;
            .5 is no bias, unless longer answers are better.
    """

    judge: str
    position: Estimate
    first: Estimate
    length: Estimate


def judge_pairs(judge: Judge, items: Sequence[PairItem]) -> list[Preference]:
    """Show every pair in both orders.

    Returns:
        Two preferences per item, a before b and b before a, in the order given.
    """
    how: How = "probabilities" if judge.has_probabilities else "text"
    orders = [(item, swapped) for item in items for swapped in (False, True)]
    chats = [_chat(item, swapped, how) for item, swapped in orders]
    choices: list[Choice | Unreadable]
    if how == "probabilities":
        choices = [_weighed(found) for found in judge.weigh(chats, PAIR_LABELS)]
    else:
        choices = [_written(found) for found in judge.write(chats)]
    return [
        Preference(
            question_id=item.question_id,
            judge=judge.name,
            first=item.b if swapped else item.a,
            second=item.a if swapped else item.b,
            choice=None if isinstance(choice, Unreadable) else choice,
            failure=choice.reason if isinstance(choice, Unreadable) else None,
        )
        for (item, swapped), choice in zip(orders, choices, strict=True)
    ]


def settle(preferences: Sequence[Preference]) -> dict[tuple[str, str, str], float | None]:
    """Per question and two arms (the one shown first in the first of both orders, the other), what both orders say.

    Returns:
        1 where the first arm is preferred in both, 0 where the second is, .5 for everything else; None where an order
        is missing or failed. Of several judges, the mean.
    """
    said: dict[tuple[str, str, str], dict[str, dict[bool, str | None]]] = {}
    for one in preferences:
        swapped = (one.question_id, one.second, one.first) in said
        key = (one.question_id, one.second, one.first) if swapped else (one.question_id, one.first, one.second)
        winner = {"first": one.first, "second": one.second, "tie": "", None: None}[one.choice]
        said.setdefault(key, {}).setdefault(one.judge, {})[swapped] = winner
    return {key: _mean([_both(key[1], key[2], orders) for orders in judges.values()]) for key, judges in said.items()}


def win_rates(
    settled: Mapping[tuple[str, str, str], float | None], arms: Sequence[str], clusters: Mapping[str, str]
) -> tuple[WinRate, ...]:
    """The later arm against the earlier one, for every two, with cluster-robust intervals.

    Args:
        settled: see `settle`.
        arms: in order.
        clusters: cluster per question id; other questions are left out.
    """
    found = []
    for b, a in combinations(arms, 2):
        values = {question: settled.get((question, a, b), _flip(settled, question, a, b)) for question in clusters}
        known = [value for value in values.values() if value is not None]
        found.append(
            WinRate(
                a=a,
                b=b,
                rate=cluster_mean(list(values.values()), [clusters[question] for question in values]),
                wins=sum(value > 0.5 for value in known),
                ties=sum(value == 0.5 for value in known),
                losses=sum(value < 0.5 for value in known),
                n_failed=len(values) - len(known),
            )
        )
    return tuple(found)


def pair_bias(
    preferences: Sequence[Preference], answers: Mapping[tuple[str, str], str], clusters: Mapping[str, str]
) -> tuple[PairBias, ...]:
    """Position and length bias of every judge.

    Args:
        preferences: of all judges.
        answers: text per arm and question id; compared as the judge saw them, blinded, in characters.
        clusters: cluster per question id; other questions are left out.
    """
    return tuple(
        _bias(
            judge, [one for one in preferences if one.judge == judge and one.question_id in clusters], answers, clusters
        )
        for judge in dict.fromkeys(one.judge for one in preferences)
    )


def _bias(
    judge: str, own: Sequence[Preference], answers: Mapping[tuple[str, str], str], clusters: Mapping[str, str]
) -> PairBias:
    both: dict[tuple[str, frozenset[str]], list[Preference]] = {}
    for one in own:
        both.setdefault((one.question_id, frozenset({one.first, one.second})), []).append(one)
    pairs = [pair for pair in both.values() if len(pair) == 2 and all(one.choice is not None for one in pair)]
    places = [pair[0].choice if pair[0].choice == pair[1].choice != "tie" else None for pair in pairs]
    longer, of_longer = [], []
    for pair in pairs:
        winners = {one.first if one.choice == "first" else one.second for one in pair if one.choice != "tie"}
        lengths = {arm: len(blind(answers[arm, pair[0].question_id])) for arm in (pair[0].first, pair[0].second)}
        if len(winners) == 1 and len(set(lengths.values())) == 2 and all(one.choice != "tie" for one in pair):
            longer.append(float(winners == {max(lengths, key=lambda arm: lengths[arm])}))
            of_longer.append(clusters[pair[0].question_id])
    names = [clusters[pair[0].question_id] for pair in pairs]
    return PairBias(
        judge=judge,
        position=cluster_mean([float(place is not None) for place in places], names),
        first=cluster_mean([float(place == "first") - float(place == "second") for place in places], names),
        length=cluster_mean(longer, of_longer),
    )


def _chat(item: PairItem, swapped: bool, how: How) -> Chat:
    first, second = (item.answer_b, item.answer_a) if swapped else (item.answer_a, item.answer_b)
    return pair_chat(question=item.question, reference=item.reference, first=first, second=second, how=how)


def _weighed(found: tuple[float, ...] | Refusal) -> Choice | Unreadable:
    if isinstance(found, Refusal):
        return Unreadable(reason=found.reason)
    expected = expected_value(found, [0.0] * len(found))
    if expected is None:
        return Unreadable(reason="the judge gives no choice any probability")
    best = max(expected.probabilities)
    likeliest = [choice for choice, p in zip(_CHOICES, expected.probabilities, strict=True) if p == best]
    return likeliest[0] if len(likeliest) == 1 else "tie"


def _written(found: Completion | Refusal) -> Choice | Unreadable:
    if isinstance(found, Refusal):
        return Unreadable(reason=found.reason)
    rating = parse_rating(found.text, PAIR_LABELS, finish_reason=found.finish_reason)
    return rating if isinstance(rating, Unreadable) else _CHOICES[PAIR_LABELS.index(rating.label)]


def _both(a: str, b: str, orders: Mapping[bool, str | None]) -> float | None:
    winners = [orders.get(False), orders.get(True)]
    if None in winners:
        return None
    return {(a, a): 1.0, (b, b): 0.0}.get((str(winners[0]), str(winners[1])), 0.5)


def _flip(settled: Mapping[tuple[str, str, str], float | None], question: str, a: str, b: str) -> float | None:
    value = settled.get((question, b, a))
    return None if value is None else 1 - value


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
