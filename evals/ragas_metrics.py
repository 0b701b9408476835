"""ragas' metrics on a study's answers: an extra for those who want its figures, never needed by a run.

Source: Es et al. 2023, "RAGAS" (arXiv 2309.15217), by the package itself (0.4.3): its prompts, its steps, its
arithmetic. Where we differ: an item either has a score or the reason why not, where ragas logs a warning and returns
NaN; and each score says whether it is relied on (fairness rule 6), which without labels of the study it is not.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from fourfold.embed.port import Embedder
from fourfold.errors import FourfoldError, InputError, ModelError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.estimate import Estimate
from fourfold.evals.judge.gate import Standing, decide_standing
from fourfold.evals.ragas_prompts import Ask, Gathering, PlainPrompt, ReplyError, run_together

RagasMetric = Literal[
    "faithfulness",
    "context precision",
    "context recall",
    "answer relevancy",
    "factual correctness",
    "noise sensitivity",
]
# Of the others 1 is best.
LOWER_IS_BETTER: frozenset[RagasMetric] = frozenset({"noise sensitivity"})
# Module below ragas.metrics, and class. Not from ragas.metrics itself, which warns that they will move.
_CLASSES: Mapping[RagasMetric, tuple[str, str]] = MappingProxyType(
    {
        "faithfulness": ("_faithfulness", "Faithfulness"),
        "context precision": ("_context_precision", "LLMContextPrecisionWithReference"),
        "context recall": ("_context_recall", "LLMContextRecall"),
        "answer relevancy": ("_answer_relevance", "ResponseRelevancy"),
        "factual correctness": ("_factual_correctness", "FactualCorrectness"),
        "noise sensitivity": ("_noise_sensitivity", "NoiseSensitivity"),
    }
)
_NONE_CALIBRATED: Mapping[RagasMetric, Standing] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class RagasItem:
    """One answer. `answer` is None where its arm has none; `contexts` are what it was given, in their order."""

    item_id: str
    question: str
    answer: str | None
    contexts: tuple[str, ...]
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RagasScore:
    """One metric of one answer. `value`, in [0, 1], is None exactly where `reason` says why it is undefined."""

    item_id: str
    metric: RagasMetric
    value: float | None
    reason: str | None
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class RagasMean:
    """One metric's mean over items that have a score, and over all with those that have none counted as wrong."""

    metric: RagasMetric
    scored: Estimate
    all_items: Estimate
    standing: Standing


def score_with_ragas(
    items: Sequence[RagasItem],
    metrics: Sequence[RagasMetric],
    ask: Ask,
    *,
    embedder: Embedder | None = None,
    standings: Mapping[RagasMetric, Standing] = _NONE_CALIBRATED,
) -> list[RagasScore]:
    """Every metric of every item, all asked in batches.

    Args:
        items: what is scored.
        metrics: which metrics.
        ask: answers the prompts, as a judge's `write` does; cached where it is.
        embedder: for answer relevancy.
        standings: of metrics that were calibrated on labels of this study; the others are not relied on.

    Returns:
        Scores metric by metric, items in order.

    Raises:
        InputError: two items have one id.
        ModelError: ragas is not installed, answer relevancy has no embedder, or the model cannot be used at all.
        SystemFaultError: what asks the model gave up.
    """
    if len({item.item_id for item in items}) < len(items):
        raise InputError(
            "two answers to be scored have one id",
            seen=next(one for one, n in Counter(item.item_id for item in items).items() if n > 1),
            expected="an id of its own for every answer",
            hint="make it of arm and question",
        )
    model = Gathering(ask)
    made = [(name, _make(name, model, embedder)) for name in metrics]
    lacking = {(name, item.item_id): _lacks(metric, item) for name, metric in made for item in items}
    asked = [(name, metric, item) for name, metric in made for item in items if not lacking[name, item.item_id]]
    # Without its own wrapper, which would report each use of a metric to ragas' makers.
    found = run_together([metric._single_turn_ascore(_sample(item), []) for _, metric, item in asked])  # noqa: SLF001
    results = {(name, item.item_id): _read(value) for (name, _, item), value in zip(asked, found, strict=True)}
    return [
        RagasScore(
            item_id=item.item_id,
            metric=name,
            value=results.get((name, item.item_id), (None, None))[0],
            reason=lacking[name, item.item_id] or results[name, item.item_id][1],
            standing=standings.get(name) or decide_standing(name, None, None, margin=0.0),
        )
        for name, _ in made
        for item in items
    ]


def summarise_ragas(scores: Sequence[RagasScore], clusters: Mapping[str, str]) -> tuple[RagasMean, ...]:
    """Means of the metrics, each with failed items left out and counted as wrong.

    Args:
        scores: of one arm.
        clusters: cluster per item id.
    """
    found = []
    for metric in dict.fromkeys(score.metric for score in scores):
        own = [score for score in scores if score.metric == metric]
        names = [clusters[score.item_id] for score in own]
        wrong = float(metric in LOWER_IS_BETTER)
        found.append(
            RagasMean(
                metric=metric,
                scored=cluster_mean([score.value for score in own], names),
                all_items=cluster_mean([wrong if score.value is None else score.value for score in own], names),
                standing=own[0].standing,
            )
        )
    return tuple(found)


def _make(name: RagasMetric, model: Gathering, embedder: Embedder | None) -> Any:
    """A ragas metric whose prompts are asked in batches."""
    module, class_name = _CLASSES[name]
    try:
        with warnings.catch_warnings():
            # Its own imports are partly deprecated.
            warnings.simplefilter("ignore")
            metric = getattr(importlib.import_module(f"ragas.metrics.{module}"), class_name)()
            from ragas.prompt import PydanticPrompt
    except ImportError as error:
        raise ModelError(
            "ragas is not installed",
            seen=error,
            expected="ragas 0.4.3 with langchain-community under 0.4, which has what ragas imports",
            hint="pip install 'fourfold[ragas]'",
        ) from error
    for attribute, prompt in list(vars(metric).items()):
        if isinstance(prompt, PydanticPrompt):
            setattr(metric, attribute, PlainPrompt(prompt))
    metric.llm = model
    if name == "answer relevancy":
        if embedder is None:
            raise ModelError(
                "answer relevancy has no embedder",
                seen="None",
                expected="an embedder, which compares the question with those the answer would answer",
                hint="give one, or leave answer relevancy out",
            )
        metric.embeddings = _Embeddings(embedder)
    return metric


class _Embeddings:
    """The embedding port as ragas calls it."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        # All as queries: both sides are questions.
        return [[float(number) for number in row] for row in self._embedder.embed(texts, kind="query")]


def _sample(item: RagasItem) -> Any:
    from ragas.dataset_schema import SingleTurnSample

    return SingleTurnSample(
        user_input=item.question,
        response=item.answer,
        retrieved_contexts=list(item.contexts),
        reference=item.reference,
    )


def _lacks(metric: Any, item: RagasItem) -> str | None:
    """What the metric needs and the item has not; None where it has all."""
    needed = metric.required_columns["SINGLE_TURN"]
    if "response" in needed and not (item.answer or "").strip():
        return "no answer" if item.answer is None else "the answer is empty"
    if "retrieved_contexts" in needed and not item.contexts:
        return "no contexts"
    if "reference" in needed and not item.reference.strip():
        return "no reference"
    return None


def _read(found: object) -> tuple[float | None, str | None]:
    """A metric's value, or why there is none."""
    if isinstance(found, FourfoldError) or (isinstance(found, BaseException) and not isinstance(found, Exception)):
        raise found
    if isinstance(found, ReplyError):
        return None, str(found)
    if isinstance(found, Exception):
        # ragas' arithmetic on a reply of the right form but the wrong size: a verdict too few, no statement.
        return None, f"ragas could not score the replies ({type(found).__name__}: {found})"
    value = float(found)  # type: ignore[arg-type]
    return (None, "ragas gives no number: the replies hold no statement") if math.isnan(value) else (value, None)
