"""What each arm is made of: examples, retrieval, adapter. Everything else is the same for all (fairness rule 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fourfold.study import StudySettings
from fourfold.types import Arm

# Which training rows an adapter saw: both prompt forms of the study's corpus, both forms of another corpus (the format
# control of rule 3), or one form alone (the diagnostics of rule 4).
AdapterKind = Literal["mixture", "control", "without contexts", "with contexts"]
Role = Literal["contestant", "control", "diagnostic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPlan:
    """One arm.

    Args:
        name: as in the study, the store and the report.
        role: contestants stand in the verdict; controls and diagnostics explain it.
        retrieves: its prompt holds retrieved contexts.
        shots: its prompt holds examples from the tuning questions.
        adapter: None for the base.
    """

    name: Arm
    role: Role = "contestant"
    retrieves: bool = False
    shots: bool = False
    adapter: AdapterKind | None = None


PLANS: tuple[ArmPlan, ...] = (
    ArmPlan(name="base"),
    ArmPlan(name="base n-shot", shots=True),
    ArmPlan(name="rag", retrieves=True),
    ArmPlan(name="rag n-shot", retrieves=True, shots=True),
    ArmPlan(name="tuned", adapter="mixture"),
    ArmPlan(name="tuned + rag", adapter="mixture", retrieves=True),
    ArmPlan(name="control", role="control", adapter="control"),
    ArmPlan(name="control + rag", role="control", adapter="control", retrieves=True),
    ArmPlan(name="closed-book form", role="diagnostic", adapter="without contexts"),
    ArmPlan(name="closed-book form + rag", role="diagnostic", adapter="without contexts", retrieves=True),
    ArmPlan(name="contexts form", role="diagnostic", adapter="with contexts"),
    ArmPlan(name="contexts form + rag", role="diagnostic", adapter="with contexts", retrieves=True),
)
PLAN: dict[str, ArmPlan] = {plan.name: plan for plan in PLANS}

# The other-corpus control that a tuned arm must beat before its gain is called knowledge (fairness rule 9).
CONTROL_OF: dict[Arm, Arm] = {"tuned": "control", "tuned + rag": "control + rag"}


def arms_of(study: StudySettings) -> tuple[ArmPlan, ...]:
    """The arms that a study runs: its contestants, and what its tuning settings add to explain them."""
    chosen = [plan for plan in PLANS if plan.role == "contestant" and plan.name in study.answer.arms]
    if any(plan.adapter for plan in chosen):
        # A control belongs to the arm that it explains.
        explained = {CONTROL_OF[plan.name] for plan in chosen if plan.adapter}
        chosen += [plan for plan in PLANS if study.tuning.control is not None and plan.name in explained]
        chosen += [plan for plan in PLANS if study.tuning.single_forms and plan.role == "diagnostic"]
    return tuple(chosen)


def adapter_names(study: StudySettings) -> dict[str, tuple[AdapterKind, int]]:
    """The adapters that a study tunes, by the name of their stage, with kind and seed.

    Controls and diagnostics are tuned with the first seed alone.
    """
    first, *more = study.tuning.seeds
    kinds = {plan.adapter for plan in arms_of(study) if plan.adapter}
    names: dict[str, tuple[AdapterKind, int]] = {}
    if "mixture" in kinds:
        names["tune"] = ("mixture", first)
        names |= {f"tune-seed-{seed}": ("mixture", seed) for seed in more}
    names |= {f"tune-{kind.replace(' ', '-')}": (kind, first) for kind in sorted(kinds - {"mixture"})}
    return names
