"""Progress on stderr: step of total, rate with its unit, time left."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_REDRAW_S = 0.5


class Reporter:
    """Tells a person what is going on. On a terminal one line is redrawn; elsewhere a line is written now and then.

    Args:
        stream: where to write; nothing goes to stdout, which is for results.
        quiet: write nothing at all.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._redraw = self._stream.isatty()
        self._open_line = False

    def say(self, text: str) -> None:
        """Write one line."""
        if self._quiet:
            return
        if self._open_line:
            self._stream.write("\n")
            self._open_line = False
        self._stream.write(text + "\n")
        self._stream.flush()

    def steps(self, label: str, unit: str) -> Steps:
        """Progress of one piece of work."""
        return Steps(self, label, unit)

    def draw(self, text: str) -> None:
        """Replace the open line on a terminal; elsewhere write a new one."""
        if self._quiet:
            return
        if self._redraw:
            self._stream.write("\r\x1b[K" + text)
            self._open_line = True
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    @property
    def redraws(self) -> bool:
        """Whether lines are redrawn."""
        return self._redraw


class Steps:
    """A callable that is told (done, total)."""

    # Off a terminal (a log file) a line every so often is enough.
    _LOG_S = 15.0

    def __init__(self, reporter: Reporter, label: str, unit: str) -> None:
        self._reporter = reporter
        self._label = label
        self._unit = unit
        self._started: tuple[float, int] | None = None
        self._drawn = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        """Show how far the work is; at most every half second on a terminal, every 15 s elsewhere."""
        now = time.monotonic()
        if self._started is None:
            self._started = (now, done)
        pause = _REDRAW_S if self._reporter.redraws else self._LOG_S
        if now - self._drawn < pause and done < total:
            return
        self._drawn = now
        started, first = self._started
        text = f"  {self._label}: {done}/{total} {self._unit}"
        if done > first and now > started:
            rate = (done - first) / (now - started)
            text += f", {rate:.1f} {self._unit}/s"
            if done < total:
                text += f", {format_seconds((total - done) / rate)} left"
        self._reporter.draw(text)


def format_seconds(seconds: float) -> str:
    """A time for people: '8 s', '3 min 5 s', '2 h 10 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
