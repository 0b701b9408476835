"""Which settings an adapter's weights depend on, two that mean the same written alike."""

from __future__ import annotations

from typing import Any

from fourfold.study import TuningSettings
from fourfold.tuning.objectives import holds_documents

# What decides which adapters there are, or how training is looked at.
_NO_WEIGHTS = {"checkpoint_steps", "seeds", "control", "single_forms", "drift_documents"}
_LOW_RANK = {"rank", "alpha", "dropout", "layers"}
_RAFT = {"raft_gold_share", "raft_distractors"}
_CIT = {"cit_form", "cit_alpha"}
_DPO = {"dpo_beta", "dpo_rejected"}
_CHOICE = {"evaluate_steps", "patience"}


def settings_that_matter(tuning: TuningSettings) -> dict[str, Any]:
    """As JSON; the seed is not among them, and a file is named, not read."""
    objective = "sft" if tuning.objective == "cit" and not holds_documents(tuning) else tuning.objective
    unused = set(_NO_WEIGHTS)
    unused |= _LOW_RANK if tuning.method == "full" else set()
    unused |= set() if tuning.form == "raft" else _RAFT
    unused |= set() if objective == "cit" else _CIT
    unused |= set() if objective == "dpo" else _DPO
    unused |= set() if tuning.checkpoint == "best" else _CHOICE
    return {
        **tuning.model_dump(mode="json", exclude=unused),
        "method": "lora" if tuning.method == "qlora" else tuning.method,
        "objective": objective,
    }
