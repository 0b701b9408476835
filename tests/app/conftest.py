from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.scripted import run_scripted, write_inputs

from fourfold.app.run import Done


@dataclass(frozen=True)
class Finished:
    """A study that was carried out once, for tests that only look at it or add to it."""

    study: Path
    runs: Path
    done: Done


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    study = write_inputs(folder)
    return Finished(study, folder / "runs", run_scripted(study, folder / "runs"))
