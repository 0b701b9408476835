"""Planted truth: how often recorded answers of known quality lead to the right verdict, a wrong winner or neither.

    python benchmarks/planted_truth.py [N_SEEDS]

Five truths (`tests/support/planted.py`) at the default margin, each at three sizes: *planned*, where half the planted
effect is detectable and every test that the verdict rests on has power enough; *half effect only*, where the first
alone holds; *too small*, a quickstart's 48 questions. Demanded of *planned*: right in 90% of the seeds, a wrong winner
in at most 5%; of *too small*: not enough evidence in most, a wrong winner in at most 5%. It prints a table, appends it
to `planted_truth.csv` and ends with an error if a demand is not met. Two processes, about 5 minutes on 2 cores.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from fourfold.app.provenance import provenance

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.planted import CASES, Case, make_corpus, verdict_of
from support.planted_size import Size, plan, size_of

N_SEEDS = 200
SEED = 0
MARGIN = 0.05
PER_TASK = 10
PLANNED, HALF_EFFECT, TOO_SMALL = "planned", "half effect only", "too small"
TOO_FEW_SECTIONS = 12
PATH = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case at one size.

    `right`, `wrong_winner` and `not_enough_evidence` count seeds. `effect` is how much the winner truly beats the best
    cheaper arm by, empty where no arm is cheaper; `detectable_difference` and `predicted_right` (a lower bound) are
    `Size`'s; `seed` is the first.
    """

    case: str
    size: str
    n: int
    clusters: int
    seeds: int
    right: int
    wrong_winner: int
    not_enough_evidence: int
    effect: float | None
    detectable_difference: float
    predicted_right: float
    margin: float
    seed: int
    commit: str
    date: str


def main(n_seeds: int) -> None:
    """Play every case at every size."""
    jobs = [(case, name, size) for case in CASES for name, size in sizes_of(case).items()]
    starts = range(SEED, SEED + n_seeds, PER_TASK)
    tasks = [(k, start, min(PER_TASK, SEED + n_seeds - start)) for k, start in product(range(len(jobs)), starts)]
    found = [Counter[str]() for _ in jobs]
    with ProcessPoolExecutor(2) as pool:
        futures = [(k, pool.submit(play, jobs[k][0], jobs[k][2].n_sections, start, n)) for k, start, n in tasks]
        for done, (k, future) in enumerate(futures, start=1):
            found[k] += future.result()
            print(f"\r{done}/{len(futures)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    rows = [row(*job, winners) for job, winners in zip(jobs, found, strict=True)]
    show(rows)
    append(rows)
    if broken := [f"{r.case}, {r.size}" for r in rows if not met(r)]:
        sys.exit(f"not as demanded: {'; '.join(broken)}")


def sizes_of(case: Case) -> dict[str, Size]:
    """The sizes a case is played at; "half effect only" where it is smaller than "planned"."""
    planned = plan(case, margin=MARGIN)
    sizes = {PLANNED: planned}
    if case.effect is not None:
        half = plan(case, margin=MARGIN, predicted=0.0)
        if half.n < planned.n:
            sizes[HALF_EFFECT] = half
    return {**sizes, TOO_SMALL: size_of(case, TOO_FEW_SECTIONS, margin=MARGIN)}


def play(case: Case, n_sections: int, start: int, n: int) -> Counter[str]:
    """Winners of `n` seeds from `start` on; each seed draws an answer of every arm to every question anew."""
    corpus = make_corpus(n_sections, seed=SEED)
    verdicts = (verdict_of(case, corpus, seed=seed, margin=MARGIN) for seed in range(start, start + n))
    return Counter(verdict.winner or verdict.outcome for verdict in verdicts)


def row(case: Case, name: str, size: Size, winners: Counter[str]) -> Row:
    """The counts of one case at one size."""
    right, open_ = winners[case.winner], winners["not enough evidence"]
    return Row(
        case=case.name,
        size=name,
        n=size.n,
        clusters=size.n_sections,
        seeds=winners.total(),
        right=right,
        wrong_winner=winners.total() - right - open_,
        not_enough_evidence=open_,
        effect=None if case.effect is None else round(case.effect, 4),
        detectable_difference=round(size.detectable, 4),
        predicted_right=round(size.predicted, 4),
        margin=MARGIN,
        seed=SEED,
        commit=provenance()["commit"] or "none",
        date=datetime.now(tz=UTC).date().isoformat(),
    )


def met(r: Row) -> bool:
    """Whether a row is as demanded; nothing but the limit on wrong winners is demanded of "half effect only"."""
    if r.wrong_winner > 0.05 * r.seeds:
        return False
    if r.size == PLANNED:
        return r.right >= math.ceil(0.9 * r.seeds)
    return r.size != TOO_SMALL or r.not_enough_evidence >= 0.8 * r.seeds


def show(rows: list[Row]) -> None:
    """Print the table."""
    print(f"{'case':20}{'size':18}{'n':>6}{'clusters':>9}{'right':>7}{'wrong':>7}{'open':>6}{'effect':>8}{'detect':>8}")
    for r in rows:
        effect = "–" if r.effect is None else f"{r.effect:.2f}"
        print(
            f"{r.case:20}{r.size:18}{r.n:6}{r.clusters:9}{r.right:7}{r.wrong_winner:7}{r.not_enough_evidence:6}"
            f"{effect:>8}{r.detectable_difference:8.3f}"
        )


def append(rows: list[Row]) -> None:
    """Append the rows; a new file gets its heading."""
    new = not PATH.exists()
    with PATH.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Row)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(dataclasses.asdict(r) for r in rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else N_SEEDS)
