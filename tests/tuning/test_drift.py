from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.tuned import PLAIN, changed, make_rows, train

from fourfold.llm.load import load_base
from fourfold.llm.weights import Weights
from fourfold.tuning.drift import Drift, Probe, measure_drift
from fourfold.tuning.objectives import shown_in
from fourfold.tuning.reference import mean_logprobs
from fourfold.tuning.train import TrainingSet

ROWS = make_rows(3)


def test_drift_is_the_mean_change_of_each_kind_and_none_without_documents(tiny: Weights) -> None:
    model = load_base(tiny, PLAIN, device="cpu")
    shown = [shown_in(row) for row in ROWS]
    probes = [Probe(kind=kind, shown=one) for kind, one in zip(("gold", "gold", "unseen"), shown, strict=True)]
    now = mean_logprobs(model, shown)
    base = {one.key: tuple(value - by for value in values)
            for one, values, by in zip(shown, now, (0.1, 0.3, -0.5), strict=True)}  # fmt: skip
    found = measure_drift(model, probes, base, 4)
    assert (found.epoch, found.distractor) == (4, None)
    assert (found.gold, found.unseen) == (pytest.approx(0.2), pytest.approx(-0.5))


def test_an_untuned_model_has_not_drifted(tiny: Weights) -> None:
    model = load_base(tiny, PLAIN, device="cpu")
    probe = Probe(kind="gold", shown=shown_in(ROWS[0]))
    base = {probe.shown.key: mean_logprobs(model, [probe.shown])[0]}
    assert measure_drift(model, [probe], base, 1) == Drift(epoch=1, gold=0.0, distractor=None, unseen=None)


def test_drift_is_followed_by_epoch_and_written_beside_the_adapter(tmp_path: Path, tiny: Weights) -> None:
    data = TrainingSet(rows=make_rows(6), probes=[Probe(kind="gold", shown=shown_in(ROWS[0]))])
    trained = train(tmp_path, tiny, changed(epochs=3), data=data)
    assert [drift.epoch for drift in trained.drift] == [1, 2, 3]
    assert all(drift.gold not in {None, 0.0} for drift in trained.drift)
    written = json.loads((tmp_path / "training.json").read_text())["result"]["drift"]
    assert written == [{"epoch": d.epoch, "gold": d.gold, "distractor": None, "unseen": None} for d in trained.drift]


def test_following_documents_moves_no_weight(tmp_path: Path, tiny: Weights) -> None:
    data = TrainingSet(rows=make_rows(), probes=[Probe(kind="gold", shown=shown_in(ROWS[0]))])
    assert train(tmp_path / "a", tiny, data=data).digest == train(tmp_path / "b", tiny).digest
