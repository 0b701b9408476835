"""A process that carries out a scripted study and is killed (SIGKILL) in the middle of one stage.

    python -m support.killed STUDY RUNS STAGE

It dies at the second sign of progress of that stage; a stage without any, while its result is being stored.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from support.scripted import run_scripted

from fourfold.app.progress import Reporter, Steps
from fourfold.store import Draft, Result, Store

WITH_PROGRESS = ("questions", "tune", "answer")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KillingReporter(Reporter):
    """Kills the process at the n-th sign of progress within a stage."""

    def __init__(self, stage: str, at: int) -> None:
        super().__init__()
        self._stage, self._at, self._current, self._seen = stage, at, "", 0

    def say(self, text: str) -> None:
        super().say(text)
        if text.endswith(" …"):
            self._current = text.removesuffix(" …")

    def steps(self, label: str, unit: str) -> Steps:
        steps = super().steps(label, unit)
        reporter = self

        class Counting(Steps):
            def __call__(self, done: int, total: int) -> None:
                steps(done, total)
                if reporter.is_time():
                    die()

        return Counting(self, label, unit)

    def is_time(self) -> bool:
        self._seen += self._current == self._stage
        return self._seen == self._at


class KillingStore(Store):
    """Kills the process inside the transaction that stores a stage."""

    stage = ""

    def put(self, draft: Draft, records: Sequence[object]) -> Result:
        if draft.stage == self.stage:
            with self.transaction():
                self.connection.execute("DELETE FROM results")
                die()
        return super().put(draft, records)


def main(study: Path, runs: Path, stage: str) -> None:
    open_store: Callable[[Path], Store] = Store.open
    if stage not in WITH_PROGRESS:
        KillingStore.stage = stage
        open_store = KillingStore.open
    at = 3 if stage in WITH_PROGRESS else -1
    run_scripted(study, runs, reporter=KillingReporter(stage, at), open_store=open_store)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
