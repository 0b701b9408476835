"""What a set of questions is like, without a model. The direction stands in each name.

Source: Balaguer et al. 2024 (question metrics). Relevance, fluency and coverage are ratings by a language model there,
and have no place here; its arrows for overlap and diversity contradict its definitions, and ours follow the latter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from fourfold.ingest.filters import content_words
from fourfold.text import squad_tokens
from fourfold.types import Question

# Between two questions, 0 (alike) to 1.
Distance = Callable[[str, str], float]
_MAX_PAIRS = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionMetrics:
    """Of one set of questions; what is undefined for it is None.

    Args:
        n: questions.
        answer_in_quote_share: share of the questions whose reference, or each of its content words, is in the quote;
            the mechanical part of the paper's coverage.
        section_share: share of the documents' sections that a question asks about, 0 to 1.
        overlap_kl_lower_is_more: mean Kullback–Leibler divergence of the question's words from its quote's, in nats.
        diversity_higher_is_more: mean distance of two questions, 0 to 1; None for fewer than two.
        question_words: mean number of words (the paper's details).
        reference_words: likewise.
    """

    n: int
    answer_in_quote_share: float | None
    section_share: float | None
    overlap_kl_lower_is_more: float | None
    diversity_higher_is_more: float | None
    question_words: float | None
    reference_words: float | None


def measure_questions(
    questions: Sequence[Question], *, n_sections: int, distance: Distance | None = None
) -> QuestionMetrics:
    """Measure one set.

    Args:
        questions: of one split.
        n_sections: sections of the documents, each with text.
        distance: between two questions; None: `word_distance`. The paper takes Word Mover's Distance, which needs word
            vectors.
    """
    asked = {(question.doc_id, question.section) for question in questions}
    supported = [float(_supported(q)) for q in questions]
    return QuestionMetrics(
        n=len(questions),
        answer_in_quote_share=_mean(supported),
        section_share=len(asked) / n_sections if n_sections else None,
        overlap_kl_lower_is_more=_mean([kl_divergence(q.question, q.quote) for q in questions]),
        diversity_higher_is_more=mean_pairwise_distance([q.question for q in questions], distance or word_distance),
        question_words=_mean([len(q.question.split()) for q in questions]),
        reference_words=_mean([len(q.reference.split()) for q in questions]),
    )


def _supported(question: Question) -> bool:
    # Letter for letter first: a dash that is not ASCII joins its neighbours to one token.
    reference, quote = (" ".join(text.lower().split()) for text in (question.reference, question.quote))
    return reference in quote or set(content_words(reference)) <= set(content_words(quote))


def kl_divergence(question: str, source: str) -> float:
    """KL(question || source) of word frequencies, in nats, at least 0; the lower, the more of their words they share.

    Both counts are raised by one for every word of either text (Laplace), so that no word has frequency 0; the paper
    says that it smooths, and not how. 0 for two texts without words.
    """
    ours, theirs = Counter(squad_tokens(question)), Counter(squad_tokens(source))
    words = ours.keys() | theirs.keys()
    n_ours, n_theirs = ours.total() + len(words), theirs.total() + len(words)
    terms = (((ours[word] + 1) / n_ours, (theirs[word] + 1) / n_theirs) for word in sorted(words))
    return max(0.0, math.fsum(p * math.log(p / q) for p, q in terms))


def word_distance(a: str, b: str) -> float:
    """1 − Jaccard index of the two questions' sets of content words; 0 where neither has any."""
    one, other = set(content_words(a)), set(content_words(b))
    union = one | other
    return 1 - len(one & other) / len(union) if union else 0.0


def mean_pairwise_distance(texts: Sequence[str], distance: Distance) -> float | None:
    """Mean distance over all pairs of different places; None for fewer than two texts.

    Of more than 500,000 pairs (1,000 texts) every m-th is taken, in order, so that the cost is bounded.
    """
    n_pairs = len(texts) * (len(texts) - 1) // 2
    step = -(-n_pairs // _MAX_PAIRS)
    return _mean([distance(a, b) for at, (a, b) in enumerate(combinations(texts, 2)) if at % step == 0])


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
