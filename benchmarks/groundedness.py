"""How well groundedness tells attributable responses from others: AUC on BEGIN's development set.

    FOURFOLD_TEST_DATA=... python benchmarks/groundedness.py [N_ITEMS] [MODEL]

All 430 items with the embedded model in float32 take about 20 minutes on two cores; MODEL is a folder or GGUF file in
its place. Per scorer: AUC of an answer's worst sentence with its cluster-jackknife interval (the cluster is the
passage), milliseconds an item, and what it is above word overlap, paired. Appends to `groundedness.csv`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

import numpy as np  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from benchmarks.rows import Row, append, measured  # noqa: E402
from fourfold.app.run import default_cache  # noqa: E402
from fourfold.digest import digest_of  # noqa: E402
from fourfold.evals.estimate import Estimate  # noqa: E402
from fourfold.evals.groundedness.likelihood import LikelihoodScorer  # noqa: E402
from fourfold.evals.groundedness.overlap import WordOverlap  # noqa: E402
from fourfold.evals.groundedness.rate import ClaimScorer, rate_groundedness  # noqa: E402
from fourfold.evals.judge.jackknife import cluster_jackknife  # noqa: E402
from fourfold.evals.judge_sets.begin import read_begin  # noqa: E402
from fourfold.evals.judge_sets.item import LabelledItem  # noqa: E402
from fourfold.llm.torch_engine import TorchEngine  # noqa: E402
from fourfold.llm.weights import find_language_model  # noqa: E402
from fourfold.study import ModelSettings  # noqa: E402

UNDEFINED = "one class only"
BASELINE = "word overlap"


def main(n_items: int, model: str) -> None:
    """Measure, print and append."""
    items = read_begin(Path(os.environ["FOURFOLD_TEST_DATA"]) / "qa" / "begin_dev_wow.tsv")
    # In an order of no meaning that is the same everywhere.
    some = sorted(items, key=lambda one: digest_of(one.item_id))[:n_items]
    weights = find_language_model(model, default_cache(os.environ))
    engine = TorchEngine(weights, ModelSettings(dtype="float32", quantisation="none"), device="cpu")
    engine.load()
    scorers: dict[str, ClaimScorer] = {
        BASELINE: WordOverlap(),
        f"log-probability gain, {weights.name}": LikelihoodScorer(engine),
    }
    rows: list[Row] = []
    values: dict[str, list[float]] = {}
    for name, scorer in scorers.items():
        started = time.perf_counter()
        found = rate_groundedness([one.answers[0] for one in some], [one.contexts for one in some], scorer)
        seconds = time.perf_counter() - started
        values[name] = [-np.inf if one.lowest is None else one.lowest for one in found]
        rows += rows_of(some, values, name, seconds)
    for row in rows:
        print(f"{row.op:28} {row.implementation:45} {row.median:9.4g} {row.unit:4} {row.mode}")
    append("groundedness", rows)


def rows_of(items: Sequence[LabelledItem], values: dict[str, list[float]], name: str, seconds: float) -> list[Row]:
    """Rows of one scorer."""
    clusters = [one.cluster for one in items]
    n_failed = int(np.isneginf(values[name]).sum())

    def auc(places: Sequence[int]) -> float | None:
        return auc_of(items, values[name], places)

    def above(places: Sequence[int]) -> float | None:
        own, base = auc(places), auc_of(items, values[BASELINE], places)
        return None if own is None or base is None else own - base

    rows = [
        *row("AUC, attributable", name, cluster_jackknife(auc, clusters, undefined=UNDEFINED), n_failed),
        measured([1000 * seconds / len(items)], op="time", implementation=name, unit="ms", shape=f"{len(items)} items"),
    ]
    if name != BASELINE:
        gain = cluster_jackknife(above, clusters, undefined=UNDEFINED)
        rows += row(f"AUC above {BASELINE}", name, gain, n_failed)
    return rows


def auc_of(items: Sequence[LabelledItem], values: Sequence[float], places: Sequence[int]) -> float | None:
    """Area under the ROC curve of some items; a failed one ranks lowest; None where one class is all there is."""
    labels = [items[at].label == "right" for at in places]
    if len(set(labels)) < 2:
        return None
    lowest = min((value for value in values if np.isfinite(value)), default=0.0) - 1
    return float(roc_auc_score(labels, [max(values[at], lowest) for at in places]))


def row(op: str, name: str, estimate: Estimate, n_failed: int) -> list[Row]:
    """An estimate as a row, its interval in `mode`; an undefined one is told and is none."""
    if estimate.value is None:
        print(f"{op}, {name}: undefined, {estimate.reason}", file=sys.stderr)
        return []
    ends = "no interval" if estimate.low is None else f"95% {estimate.low:.3f} to {estimate.high:.3f}"
    mode = f"{ends}, {estimate.n_clusters} passages, {n_failed} failed"
    shape = f"BEGIN dev, {estimate.n} items"
    return [measured([estimate.value], op=op, implementation=name, unit="AUC", shape=shape, mode=mode, dtype="float32")]


if __name__ == "__main__":
    words = sys.argv[1:]
    main(int(words[0]) if words else 430, words[1] if len(words) > 1 else "embedded")
