"""The whole path once on the embedded weights: a few real pages, a few questions, real training and answers."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from support.part import N_QUESTIONS, write_part

from fourfold.app.progress import Reporter
from fourfold.app.run import default_cache, run_study
from fourfold.store import Store
from fourfold.study_file import load_study
from fourfold.types import ARMS, Answer, Retrieved


def test_pdfs_become_a_verdict_on_the_embedded_weights(tmp_path: Path) -> None:
    study = write_part(tmp_path)
    runs = tmp_path / "runs"
    done = run_study(load_study(study), runs, cache=default_cache(os.environ), reporter=Reporter(quiet=True))
    report = done.report
    assert report is not None
    assert [arm.arm for arm in report.arms] == list(ARMS)
    assert report.n_questions == N_QUESTIONS
    assert report.verdict.outcome in {"decided", "not enough evidence"}
    assert "One seed, no format control" in report.sentence
    assert "SmolLM2-135M-Instruct" in done.folder.joinpath("report.html").read_text(encoding="utf-8")
    with Store.open(runs) as store:
        (key,) = store.connection.execute("SELECT key FROM results WHERE stage = 'answer'").fetchone()
        answers, retrieved = store.read(Answer, key), store.read(Retrieved, key)
        (tune,) = store.connection.execute("SELECT summary FROM results WHERE stage = 'tune'").fetchone()
    assert len(answers) == len(ARMS) * N_QUESTIONS
    assert len(retrieved) == 2 * N_QUESTIONS
    assert all(answer.failure is None and answer.mean_logprob is not None for answer in answers)
    texts = {arm: [answer.text for answer in answers if answer.arm == arm] for arm in ARMS}
    assert texts["base"] != texts["rag"]
    assert texts["base"] != texts["tuned"]
    trained = json.loads(tune)
    assert math.isfinite(trained["loss_first"])
    assert math.isfinite(trained["loss_last"])
    assert trained["n_rows"] == 8
