"""How much likelier tuning makes documents: by epoch, of gold chunks, distractors, and chunks no prompt has shown.

A tuned reader that has memorised its contexts shows a rise on gold chunks that unseen ones do not share (CIT, arXiv
2404.01652, section 3). Each document stands alone in the arms' prompt with contexts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from fourfold.tuning.reference import Shown, mean_logprobs

Kind = Literal["gold", "distractor", "unseen"]
KINDS: tuple[Kind, ...] = ("gold", "distractor", "unseen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A document whose likelihood is followed."""

    kind: Kind
    shown: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """After an epoch (from 1): mean change of log-probability in nats a token over the documents of each kind.

    None where there was no document of the kind.
    """

    epoch: int
    gold: float | None
    distractor: float | None
    unseen: float | None


def measure_drift(model: Any, probes: Sequence[Probe], base: Mapping[str, tuple[float, ...]], epoch: int) -> Drift:
    """Change against the base.

    Args:
        model: the tuned transformers model, in the autocast of training.
        probes: the documents.
        base: the untuned model's log-probabilities, by `Shown.key`.
        epoch: number of the epoch that has ended, from 1.
    """
    now = mean_logprobs(model, [probe.shown for probe in probes])
    change: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
    for probe, means in zip(probes, now, strict=True):
        change[probe.kind] += [a - b for a, b in zip(means, base[probe.shown.key], strict=True)]
    gold, distractor, unseen = (fmean(change[kind]) if change[kind] else None for kind in KINDS)
    return Drift(epoch=epoch, gold=gold, distractor=distractor, unseen=unseen)
