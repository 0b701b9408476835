"""How often the reported intervals hold the true difference, and how often the sign-flip test sounds a false alarm.

    python benchmarks/interval_coverage.py [N_REPETITIONS]

Simulates studies of 6 to 50 clusters with 2, 3, 4, 5, 6, 2, 3, ... questions each, whose paired differences have a
known mean and, within a cluster, the stated correlation, and puts every one through the project's own functions.
Appends to `interval_coverage.csv` and prints each target of the project that a row misses: the t interval covers 94-97%
(93-98% at 6 clusters), the sign-flip test sounds at most 5.5% false alarms at 5%. A study without an interval (every
cluster has the same mean by coincidence) counts as not covered, and its share is a column.

Three kinds of differences:
    gaussian        mean 0, variance 1, a cluster's effect with variance icc.
    right/wrong     of two scores of 0 or 1: +1 and -1 with chance .2 each, else 0.
    right/wrong .2  the same with +1 at .3 and -1 at .1, a true difference of .2; no null, so no false alarms.
The discrete ones are Dirichlet-multinomial: a cluster draws its three chances from a Dirichlet distribution whose
parameters add up to 1/icc - 1, which gives any score of the outcomes exactly that correlation (Mosimann 1962,
Biometrika 49(1/2)).

The libraries' threads only get in each other's way here: OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice, product
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fourfold.app.provenance import provenance
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.sign_flip import sign_flip_p
from fourfold.evals.wild_bootstrap import wild_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fourfold.evals.estimate import Estimate

SEED = 20261125
CLUSTERS = (6, 10, 20, 50)
ICCS = (0.0, 0.1, 0.3)
SIZES = (2, 3, 4, 5, 6)
CHANCES = {"right/wrong": (0.2, 0.2), "right/wrong .2": (0.3, 0.1)}
# Of +1 and of -1: the questions that only one of the two arms answers right.
KINDS = ("gaussian", *CHANCES)
WILD_EVERY = 5
# The wild bootstrap takes 30 times as long as the t interval, so it sees every fifth study.
N_DRAWS = 999
# Of the wild bootstrap and of the sign-flip test above 14 clusters; the level holds at any number that makes
# .05 (draws + 1) whole, and 9,999 would take ten times as long.
N_PROCESSES = 2


@dataclass(frozen=True, kw_only=True)
class Row:
    """One cell of the table; `commit` ends with "+changes" where the tree had any."""

    clusters: int
    icc: float
    kind: str
    n_questions: int
    n_repetitions: int
    coverage_t: float
    without_interval: float
    n_repetitions_wild: int
    coverage_wild: float
    false_alarms_sign_flip: float | None
    seed: int
    commit: str
    date: str


def simulate(*, clusters: int, icc: float, kind: str, n_repetitions: int, seed: int = SEED) -> Row:
    """Plays one cell; the first repetitions of a longer run are those of a shorter one."""
    names = cluster_names(clusters)
    rng = np.random.default_rng([seed, clusters, round(1000 * icc), KINDS.index(kind)])
    truth = true_mean(kind)
    covered, missing, wild, alarms = [], 0, [], []
    for repetition in range(n_repetitions):
        values = draw(names, icc=icc, kind=kind, rng=rng).tolist()
        estimate = cluster_mean(values, names)
        missing += estimate.low is None
        covered.append(holds(estimate, truth))
        if repetition % WILD_EVERY == 0:
            wild.append(holds(wild_interval(values, names, seed=repetition, n_replications=N_DRAWS), truth))
        if truth == 0:
            p = sign_flip_p(values, names, seed=repetition, n_replications=N_DRAWS).value
            alarms.append(p is not None and p <= 0.05)
    return Row(
        clusters=clusters,
        icc=icc,
        kind=kind,
        n_questions=len(names),
        n_repetitions=n_repetitions,
        coverage_t=round(float(np.mean(covered)), 5),
        without_interval=round(missing / n_repetitions, 5),
        n_repetitions_wild=len(wild),
        coverage_wild=round(float(np.mean(wild)), 5),
        false_alarms_sign_flip=round(float(np.mean(alarms)), 5) if alarms else None,
        seed=seed,
        commit=provenance()["commit"] or "none",
        date=datetime.now(UTC).date().isoformat(),
    )


def cluster_names(n_clusters: int) -> list[str]:
    """The cluster of every question."""
    return [f"c{g}" for g, size in enumerate(islice(cycle(SIZES), n_clusters)) for _ in range(size)]


def true_mean(kind: str) -> float:
    """What the intervals should hold."""
    up, down = CHANCES.get(kind, (0.0, 0.0))
    return up - down


def draw(names: Sequence[str], *, icc: float, kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """The differences of one study, float64 [n]."""
    places = np.unique(names, return_inverse=True)[1]
    n_clusters = int(places.max()) + 1
    if kind == "gaussian":
        shared = rng.normal(size=n_clusters)[places]
        values: NDArray[np.float64] = math.sqrt(icc) * shared + math.sqrt(1 - icc) * rng.normal(size=len(names))
        return values
    up, down = CHANCES[kind]
    chances = np.tile([up, down, 1 - up - down], (n_clusters, 1))
    if icc > 0:
        chances = rng.dirichlet((1 / icc - 1) * chances[0], size=n_clusters)
    uniform, ups, downs = rng.random(len(names)), chances[places, 0], chances[places, 1]
    return (uniform < ups).astype(np.float64) - (uniform > 1 - downs)


def holds(estimate: Estimate, truth: float) -> bool:
    """Whether the interval holds the truth; rounding does not decide it at a degenerate one."""
    if estimate.low is None or estimate.high is None:
        return False
    return estimate.low - 1e-12 <= truth <= estimate.high + 1e-12


def missed(row: Row) -> list[str]:
    """The targets that a row misses, in words."""
    low, high = (0.93, 0.98) if row.clusters == 6 else (0.94, 0.97)
    where = f"{row.kind}, {row.clusters} clusters, icc {row.icc}"
    misses = []
    if not low <= row.coverage_t <= high:
        misses.append(f"{where}: the t interval covers {row.coverage_t:.2%}, target {low:.0%} to {high:.0%}")
    if row.false_alarms_sign_flip is not None and row.false_alarms_sign_flip > 0.055:
        misses.append(f"{where}: sign-flip false alarms {row.false_alarms_sign_flip:.2%}, target at most 5.5%")
    return misses


def _cell(cell: tuple[int, float, str, int]) -> Row:
    clusters, icc, kind, n_repetitions = cell
    return simulate(clusters=clusters, icc=icc, kind=kind, n_repetitions=n_repetitions)


def main(n_repetitions: int) -> None:
    """Play every cell and append the table."""
    # The largest first, so that the last to finish is short.
    cells = [(*cell, n_repetitions) for cell in product(CLUSTERS[::-1], ICCS, KINDS)]
    rows = []
    with Pool(N_PROCESSES) as pool:
        for done, row in enumerate(pool.imap(_cell, cells), start=1):
            rows.append(row)
            print(f"{done}/{len(cells)} {row}", file=sys.stderr, flush=True)
    path = Path(__file__).with_suffix(".csv")
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Row)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in sorted(rows, key=lambda row: (row.kind, row.clusters)))
    misses = [miss for row in rows for miss in missed(row)]
    print("\n".join(misses) or "every target met")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
