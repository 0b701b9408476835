"""A question's quote is shown where it stands on its page; a file that is gone or changed is told, not guessed at."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pymupdf
import pytest

from fourfold.app.dashboard.pictures import draw_pages
from fourfold.app.dashboard.results import newest_runs, read_run
from fourfold.errors import DocumentError

if TYPE_CHECKING:
    from app.conftest import Finished


def moved(finished: Finished, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the results whose study names a corpus folder of its own."""
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with closing(sqlite3.connect(runs / "store.db")) as db:
        (text,) = db.execute("SELECT settings FROM runs").fetchone()
        settings = json.loads(text)
        corpus = shutil.copytree(settings["corpus"]["folder"], tmp_path / "corpus")
        settings["corpus"]["folder"] = str(corpus)
        db.execute("UPDATE runs SET settings = ?", (json.dumps(settings),))
        db.commit()
    return runs, corpus


def pixels(png: bytes) -> np.ndarray:
    picture = pymupdf.Pixmap(png)
    return np.frombuffer(picture.samples, np.uint8).reshape(picture.height, picture.width, picture.n).astype(int)


def test_the_quote_and_nothing_else_is_marked_on_its_page(finished: Finished) -> None:
    (run,) = newest_runs(finished.runs)
    question = next(q for q in read_run(finished.runs, run.run).questions if q.quote)
    (picture,) = draw_pages(finished.runs, run.run, question.question_id)
    assert picture.page == question.page
    shown = pixels(picture.png)
    # Marker yellow: red and green far above blue.
    marked = (shown[..., 0] - shown[..., 2] > 25) & (shown[..., 1] - shown[..., 2] > 15)
    assert 0 < marked.mean() < 0.2
    rows = np.flatnonzero(marked.any(axis=1))
    study = json.loads(sqlite3.connect(finished.runs / "store.db").execute("SELECT settings FROM runs").fetchone()[0])
    with pymupdf.open(Path(study["corpus"]["folder"]) / question.document) as pdf:
        words = question.quote.split()
        found = pdf[question.page - 1].search_for(" ".join(words[:3]))
    heights = [(box.y0 * 110 / 72, box.y1 * 110 / 72) for box in found]
    assert any(low - 3 <= rows[0] <= high for low, high in heights)


def test_a_file_that_is_gone_or_another_is_told(finished: Finished, tmp_path: Path) -> None:
    runs, corpus = moved(finished, tmp_path)
    (run,) = newest_runs(runs)
    question = next(q for q in read_run(runs, run.run).questions if q.quote)
    path = corpus / question.document
    path.write_bytes(path.read_bytes() + b"\n% changed")
    with pytest.raises(DocumentError, match="not the file that was read"):
        draw_pages(runs, run.run, question.question_id)
    path.unlink()
    with pytest.raises(DocumentError, match="not there any more"):
        draw_pages(runs, run.run, question.question_id)
