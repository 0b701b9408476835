"""How far a judge's rulings agree with a public set's labels: enough to drop a judge, never to trust one (rule 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.estimate import Estimate
from fourfold.evals.judge.cohen import UNDEFINED, cohen_kappa
from fourfold.evals.judge.jackknife import cluster_jackknife
from fourfold.evals.judge_sets.item import Label, LabelledItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """A judge against the labels of one set.

    Args:
        agreement: share of labelled items on which both agree, items without a ruling left out.
        agreement_all: the same with those counted as disagreement.
        kappa: Cohen's, over items with a ruling, jackknifed over clusters; None where one class is all there is.
        by_group: per group, in the order of the items, the share on which both agree.
        n_failed: labelled items without a ruling.
        n_unlabelled: items whose label does not count; they are in none of the above.
    """

    agreement: Estimate
    agreement_all: Estimate
    kappa: Estimate
    by_group: tuple[tuple[str, Estimate], ...]
    n_failed: int
    n_unlabelled: int


def screen(items: Sequence[LabelledItem], rulings: Sequence[Label | None]) -> Screening:
    """Compare rulings with labels.

    Args:
        items: of one set; two people's labels of one pair are two items in one cluster.
        rulings: what the judge says of each, in the items' own words; None where it failed.

    Raises:
        InputError: the two differ in length, or a ruling is none that its item can have.
    """
    _require_matching(items, rulings)
    labelled = [(one, ruling) for one, ruling in zip(items, rulings, strict=True) if one.label is not None]
    ruled = [(one, ruling) for one, ruling in labelled if ruling is not None]
    clusters = [one.cluster for one, _ in ruled]
    agreed = [float(ruling == one.label) for one, ruling in ruled]

    def kappa(places: Sequence[int]) -> float | None:
        return cohen_kappa([ruled[at][1] for at in places], [ruled[at][0].label for at in places])

    n_failed = len(labelled) - len(ruled)
    return Screening(
        agreement=cluster_mean(agreed, clusters),
        agreement_all=cluster_mean(
            [float(ruling == one.label) for one, ruling in labelled], [one.cluster for one, _ in labelled]
        ),
        kappa=cluster_jackknife(
            kappa, clusters, undefined=UNDEFINED if ruled else "no labelled item has a ruling", n_missing=n_failed
        ),
        by_group=tuple(
            (group, _agreement_of(group, ruled)) for group in dict.fromkeys(one.group for one, _ in labelled)
        ),
        n_failed=n_failed,
        n_unlabelled=len(items) - len(labelled),
    )


def _agreement_of(group: str, ruled: Sequence[tuple[LabelledItem, Label | None]]) -> Estimate:
    own = [(one, ruling) for one, ruling in ruled if one.group == group]
    return cluster_mean([float(ruling == one.label) for one, ruling in own], [one.cluster for one, _ in own])


def _require_matching(items: Sequence[LabelledItem], rulings: Sequence[Label | None]) -> None:
    if len(items) != len(rulings):
        raise InputError(
            "items and rulings do not match",
            seen=f"{len(items)} items, {len(rulings)} rulings",
            expected="one ruling per item",
            hint="give None where the judge failed",
        )
    of_pairs = {"first", "second", "tie"}
    for item, ruling in zip(items, rulings, strict=True):
        if ruling is not None and (ruling in of_pairs) != (len(item.answers) == 2):
            raise InputError(
                "a ruling does not fit its item",
                seen=f"{ruling!r} on item {item.item_id} with {len(item.answers)} answer(s)",
                expected="right or wrong on one answer; first, second or tie on two",
                hint="judge pairs with the pairwise judge, single answers with the pointwise one",
            )
