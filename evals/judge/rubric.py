"""The criteria: what each asks, its levels and what they are worth, and what the judge is shown.

Sources: correctness in full / in part / not, guideline accuracy, succinctness, coherence, relevance and groundedness
are those of Balaguer et al. 2024 (arXiv 2401.08406); completeness, helpfulness and level of detail are usual beside
them. Where we differ: a refusal is a level of its own, and every level is named by one digit, so that one forward pass
reads the judge's mind (Self-Judge, and equation 1 of G-Eval, Liu et al. 2023, arXiv 2303.16634).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fourfold.study import Criterion

Part = Literal["reference", "passage", "guideline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level: its digit, its name, and its value in [0, 1]."""

    label: str
    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A judgement shown to a judge that is read by its probabilities: `label` is that of the level."""

    question: str
    answer: str
    label: str
    reference: str = ""
    passage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """One criterion.

    Args:
        criterion: its name.
        asks: what the judge is to rate.
        levels: best first.
        shown: what the judge is shown beside question and answer.
        examples: judgements, invented, of no corpus, shown to judges that are read by their probabilities. With them
            87% of the embedded model's probability is on ratings, and right answers to two questions stand above
            wrong ones; without, 6%, and all alike (eight answers looked at, 2026-11-25).
    """

    criterion: Criterion
    asks: str
    levels: tuple[Level, ...]
    shown: tuple[Part, ...]
    examples: tuple[Example, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The levels' digits, best first."""
        return tuple(level.label for level in self.levels)


def _graded(*names: str) -> tuple[Level, ...]:
    """Five names, best first: 5 to 1, worth 1 to 0 in equal steps."""
    return tuple(Level(label=str(5 - at), name=name, value=1 - at / 4) for at, name in enumerate(names))


_CORRECTNESS = (
    Level(label="4", name="full: says everything that the reference says, and nothing against it", value=1.0),
    Level(label="3", name="partial: says a part of it, and nothing against it", value=0.5),
    Level(label="2", name="wrong: says something else, or something against it", value=0.0),
    Level(label="1", name="refusal: says that it does not know, or does not answer", value=0.0),
)
_CORRECTNESS_EXAMPLES = (
    Example(
        question="At what temperature must seeds be stored?",
        reference="below 8 degrees Celsius",
        answer="They must be stored below 8 degrees Celsius.",
        label="4",
    ),
    Example(
        question="How often and how is the chair elected?",
        reference="every two years by secret ballot",
        answer="by secret ballot",
        label="3",
    ),
    Example(question="Which command copies a volume?", reference="zfs-snap", answer="the command zfs-move", label="2"),
    Example(question="Who signs the report?", reference="the duty officer", answer="I don't know.", label="1"),
)
_GROUNDEDNESS_EXAMPLES = (
    Example(
        question="At what temperature must seeds be stored?",
        passage="Seeds must be stored below 8 degrees Celsius and at 40% humidity.",
        answer="They must be stored below 8 degrees Celsius.",
        label="5",
    ),
    Example(
        question="How is the chair elected?",
        passage="The chair is elected every two years by secret ballot.",
        answer="by secret ballot, at noon on the first Monday of May",
        label="3",
    ),
    Example(
        question="Which command copies a volume?",
        passage="Run zfs-snap as root to copy a volume before it is resized.",
        answer="the command zfs-move, which needs no rights",
        label="1",
    ),
)

_ALL = (
    Rubric(
        criterion="correctness",
        asks="how correct the answer is, measured by the reference",
        levels=_CORRECTNESS,
        shown=("reference",),
        examples=_CORRECTNESS_EXAMPLES,
    ),
    Rubric(
        criterion="groundedness",
        asks="how far what the answer says is supported by the passage",
        levels=_graded("everything is", "nearly everything is", "about half is", "little is", "nothing is"),
        shown=("passage",),
        examples=_GROUNDEDNESS_EXAMPLES,
    ),
    Rubric(
        criterion="guideline accuracy",
        asks="how much of what the guideline demands the answer contains",
        levels=_graded("all of it", "most of it", "about half of it", "little of it", "nothing of it"),
        shown=("guideline",),
    ),
    Rubric(
        criterion="succinctness",
        asks="how succinct the answer is: whether it says what was asked without words that could be left out",
        levels=_graded("no word too many", "few words too many", "somewhat wordy", "wordy", "mostly beside the point"),
        shown=(),
    ),
    Rubric(
        criterion="coherence",
        asks="how coherent the answer is: whether its parts follow from one another and do not contradict",
        levels=_graded("fully", "mostly", "partly", "hardly", "not at all"),
        shown=(),
    ),
    Rubric(
        criterion="relevance",
        asks="how relevant the answer is to the question",
        levels=_graded("fully", "mostly", "partly", "hardly", "not at all"),
        shown=(),
    ),
    Rubric(
        criterion="completeness",
        asks="how much of the reference the answer covers",
        levels=_graded("all of it", "most of it", "about half of it", "little of it", "nothing of it"),
        shown=("reference",),
    ),
    Rubric(
        criterion="helpfulness",
        asks="how much the answer helps someone who has to act on it, given what the reference says",
        levels=_graded("as much as the reference", "much", "somewhat", "little", "not at all, or it misleads"),
        shown=("reference",),
    ),
    Rubric(
        criterion="level of detail",
        asks="how well the answer's level of detail fits the question, given the passage",
        levels=_graded("just right", "nearly right", "somewhat off", "far off", "no use"),
        shown=("passage",),
    ),
)
RUBRICS: Mapping[Criterion, Rubric] = {rubric.criterion: rubric for rubric in _ALL}

# From this value on an answer is called right, by a person's label as by a judge's: full, or 4 and 5 of 5.
RIGHT_FROM = 0.75
