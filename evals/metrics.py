"""Answer metrics against the reference: each from 0 to 1, or undefined with a reason.

All but ROUGE-L compare after SQuAD's normalisation (`fourfold.text.squad_tokens`). Embedding similarity needs an
embedder and stands in `evals.similarity`.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from fourfold.errors import InputError
from fourfold.study import Metric
from fourfold.text import contains_run, squad_tokens
from fourfold.types import Question

_CANNOT = r"(do not|don['’]t|does not|doesn['’]t|did not|didn['’]t|cannot|can['’]t|could not|couldn['’]t|am unable to|"
_CANNOT += r"am not able to|is unable to)"
# "The source does not contain …" may be the answer itself; "the provided source" speaks of the prompt.
_SOURCE = r"(passages?|contexts?|texts?|excerpts?|(provided|given) (documents?|documentation|sources?|information))"
_GIVEN = r"(given|provided|available|found|stated|specified|mentioned|contained|included|present|in the)"
_REFUSAL = re.compile(
    # "I don't know", "I do not have enough information"
    rf"\b(i|we) {_CANNOT} (know|answer|say|find|tell|determine|provide"
    r"|have (any |enough |sufficient |the )?information)"
    # "No information is given", "not enough information in the text"
    rf"|\b(not|no) (enough |sufficient )?(information|mention|answer)( is| are| was| were)? ?{_GIVEN}"
    # "The answer is not provided in the passages"
    rf"|\b(answer|question) (is|are|was|were|cannot|can['’]t|could not) (not |be )(been )?"
    rf"({_GIVEN}|answered|determined)"
    # "The passage doesn't say"
    rf"|\b{_SOURCE} {_CANNOT} (say|state|mention|contain|provide|answer|specify)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")


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


def rouge_l(answer: str, question: Question) -> float:
    """Harmonic mean of LCS / length of the answer and LCS / length of the reference, in words.

    LCS is the length of their longest common subsequence of words. Without a word on either side it is 0, also where
    both have none.

    Source: Lin 2004, equations 2 to 4 with beta = 1, computed by rouge-score without stemming. Where we differ: a word
    is a run of letters and digits of any script; rouge-score knows a to z alone, and would score other texts 0.

    Raises:
        InputError: rouge-score is not installed.
    """
    return float(_rouge_scorer().score(question.reference, answer)["rougeL"].fmeasure)


class _Words:
    """rouge-score's default tokenizer (lower case, split at what is no letter or digit) for every script."""

    def tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text.lower())


@functools.cache
def _rouge_scorer() -> Any:
    # Here, not above: it imports nltk, which takes two seconds.
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ModuleNotFoundError as error:
        raise InputError(
            "ROUGE-L cannot be computed",
            seen=f"the package {error.name} is not installed",
            expected="rouge-score",
            hint="pip install 'fourfold[evals]', or leave rouge_l out of score.metrics",
        ) from error
    return RougeScorer(["rougeL"], use_stemmer=False, tokenizer=_Words())


TEXT_METRICS: Mapping[Metric, Callable[[str, Question], float]] = {
    "exact_match": exact_match,
    "token_f1": token_f1,
    "containment": containment,
    "key_fact_recall": key_fact_recall,
    "rouge_l": rouge_l,
}


def is_refusal(answer: str) -> bool:
    """Whether an answer declines to answer (English wordings; an empty answer is none)."""
    return _REFUSAL.search(answer) is not None
