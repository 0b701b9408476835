"""What a report says, as data: `report.json` is this, and the HTML and the terminal show nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fourfold.arms import Role
from fourfold.evals.compare import PairedDifference
from fourfold.evals.constraints import ConstraintCheck
from fourfold.evals.estimate import Estimate
from fourfold.evals.factorial import Factorial
from fourfold.evals.power import Power
from fourfold.evals.price_sensitivity import PriceSensitivity
from fourfold.evals.report.behaviour import ArmBehaviour
from fourfold.evals.report.checks import ChecksSection
from fourfold.evals.report.costs import Costs
from fourfold.evals.report.judge_data import JudgeSection
from fourfold.evals.trade_off import Flip
from fourfold.evals.verdict import Verdict
from fourfold.types import Document, LeakedPair


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """One arm over the questions of the verdict. Only contestants stand in the verdict.

    `metrics` and `failed_as_wrong` hold an estimate per metric: without failed items, and with them counted as 0.
    Tokens are means per answered question. Of several tuning seeds the means are over all, the counts add up.
    """

    arm: str
    role: Role
    n_seeds: int
    metrics: Mapping[str, Estimate]
    failed_as_wrong: Mapping[str, Estimate]
    refusals: Estimate
    n_failed: int
    n_cut_off: int
    prompt_tokens: float | None
    answer_tokens: float | None
    mean_logprob: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmDifference:
    """a − b on one metric, paired per question.

    `p` is two-sided, of no difference; `p_adjusted` holds the false discovery rate over all such rows of the report
    (Benjamini-Hochberg). `detectable` is the true difference that this study would find in 80 of 100 repetitions.
    """

    a: str
    b: str
    metric: str
    paired: PairedDifference
    p: float | None
    p_adjusted: float | None
    detectable: Power


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumSummary:
    """The primary metric of one arm in one stratum."""

    group: str
    stratum: str
    arm: str
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextShown:
    """A retrieved chunk as the reader of the report sees it. `holds_gold` is the share of the gold span it covers."""

    rank: int
    chunk_id: str
    document: str
    page_first: int
    page_last: int
    section: str
    text: str
    holds_gold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerShown:
    """One arm's answer with its scores; `generation` is its row in the store. `tuning_seed` is the adapter's."""

    arm: str
    tuning_seed: int | None
    text: str | None
    failure: str | None
    scores: Mapping[str, float | None]
    n_prompt_tokens: int
    n_answer_tokens: int
    mean_logprob: float | None
    generation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionShown:
    """One test question with everything that was answered."""

    question_id: str
    question: str
    reference: str
    key_facts: tuple[tuple[str, ...], ...]
    document: str
    page: int
    section: str
    quote: str
    stratum: str
    kind: str
    contexts: tuple[ContextShown, ...]
    answers: tuple[AnswerShown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageShown:
    """A stage's result: `key` addresses its rows in the store."""

    name: str
    key: str
    seconds: float
    created_at: str
    summary: Mapping[str, Any]
    provenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole report.

    `sentence` is the verdict for people, `caveats` what must be read with it. `n_transfer` counts the test questions on
    documents that were not tuned on, which the verdict leaves out. `base` names the weights that every arm answers on.
    `differences` are of every pair of contestants; `explained` of every tuned arm with what shows where its gain comes
    from: its format control, and adapters of one prompt form each. `by_metric` holds the winner, or None, that the same
    rule would give on each metric. `not_recorded` are the strata that no question's record tells of. `judge` is None
    for a study without one, `checks` where nothing was tuned or looked at.
    """

    study: str
    base: str
    sentence: str
    caveats: tuple[str, ...]
    primary: str
    cluster_kind: str
    n_questions: int
    n_transfer: int
    verdict: Verdict
    arms: tuple[ArmSummary, ...]
    differences: tuple[ArmDifference, ...]
    explained: tuple[ArmDifference, ...]
    costs: Costs
    pareto: tuple[str, ...]
    flips: tuple[Flip, ...]
    by_metric: tuple[tuple[str, str | None], ...]
    constraints: tuple[ConstraintCheck, ...]
    price_sensitivity: PriceSensitivity
    behaviour: tuple[ArmBehaviour, ...]
    factorial: Factorial
    strata: tuple[StratumSummary, ...]
    not_recorded: tuple[str, ...]
    retrieval: Mapping[str, Estimate]
    documents: tuple[Document, ...]
    leaked: tuple[LeakedPair, ...]
    questions: tuple[QuestionShown, ...]
    stages: tuple[StageShown, ...]
    settings: Mapping[str, Any]
    judge: JudgeSection | None = None
    checks: ChecksSection | None = None
