"""Answer metrics against the reference: each from 0 to 1, or undefined with a reason.

All compare after SQuAD's normalisation (`fourfold.text.squad_tokens`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping

from fourfold.study import Metric
from fourfold.text import contains_run, squad_tokens
from fourfold.types import Question

_REFUSAL = re.compile(
    r"\b(i|we) (do not|don['’]t|cannot|can['’]t|am unable to|am not able to|could not|couldn['’]t) "
    r"(know|answer|say|find|tell|determine|provide)"
    r"|\b(not|no) (enough )?(information|mention|answer)( is| are| was)? ?(given|provided|available|found|in the)"
    r"|\b(passages?|context|text) (do|does) not (say|state|mention|contain|provide|answer)",
    re.IGNORECASE,
)


def exact_match(answer: str, question: Question) -> float:
    """1 if answer and reference have the same tokens, else 0 (Rajpurkar et al. 2016)."""
    return float(squad_tokens(answer) == squad_tokens(question.reference))


def token_f1(answer: str, question: Question) -> float:
    """Harmonic mean of token precision and recall, tokens counted as often as both have them (Rajpurkar et al. 2016).

    Two empty token lists agree (1), one empty one does not (0), as in SQuAD 2.0's script.
    """
    said, wanted = squad_tokens(answer), squad_tokens(question.reference)
    if not said or not wanted:
        return float(said == wanted)
    n_shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * n_shared / (len(said) + len(wanted))


def containment(answer: str, question: Question) -> float:
    """1 if the reference's tokens stand in the answer as one run, else 0."""
    return float(contains_run(squad_tokens(answer), squad_tokens(question.reference)))


def key_fact_recall(answer: str, question: Question) -> float:
    """Share of the question's key facts that the answer states: one of a fact's strings stands in it as a run.

    Without key facts the reference is the one fact.
    """
    tokens = squad_tokens(answer)
    facts = question.key_facts or ((question.reference,),)
    found = [any(contains_run(tokens, squad_tokens(string)) for string in fact) for fact in facts]
    return sum(found) / len(found)


METRICS: Mapping[Metric, Callable[[str, Question], float]] = {
    "exact_match": exact_match,
    "token_f1": token_f1,
    "containment": containment,
    "key_fact_recall": key_fact_recall,
}


def is_refusal(answer: str) -> bool:
    """Whether an answer declines to answer (English wordings; an empty answer is none)."""
    return _REFUSAL.search(answer) is not None
