from __future__ import annotations

import io
from dataclasses import dataclass

import pytest

from fourfold.app import progress
from fourfold.app.progress import Reporter, format_seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass
class Clock:
    now: float = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (8.2, "8 s"),
        (59.4, "59 s"),
        # Rounded before it is split: never "60 s" or "59 min 60 s".
        (59.6, "1 min 0 s"),
        (60, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (7859, "2 h 10 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_a_time_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_off_a_terminal_a_line_comes_now_and_then_and_at_the_end(clock: Clock) -> None:
    stream = io.StringIO()
    steps = Reporter(stream).steps("answers", "prompts")
    for done in range(41):
        steps(done, 40)
        clock.now += 1
    # A step a second: the first, then every 15 s, and the last although only 10 s have gone by.
    assert stream.getvalue().splitlines() == [
        "  answers: 0/40 prompts",
        "  answers: 15/40 prompts, 1.0 prompts/s, 25 s left",
        "  answers: 30/40 prompts, 1.0 prompts/s, 10 s left",
        "  answers: 40/40 prompts, 1.0 prompts/s",
    ]


def test_work_that_ends_at_once_has_its_last_line(clock: Clock) -> None:
    stream = io.StringIO()
    steps = Reporter(stream).steps("answers", "prompts")
    steps(1, 40)
    clock.now += 0.01
    steps(40, 40)
    assert stream.getvalue().splitlines()[-1].startswith("  answers: 40/40 prompts")


def test_the_rate_counts_only_what_was_done_since_the_start(clock: Clock) -> None:
    # Resumed at step 30 of 40.
    stream = io.StringIO()
    steps = Reporter(stream).steps("tuning", "steps")
    steps(30, 40)
    clock.now += 20
    steps(35, 40)
    assert stream.getvalue().splitlines()[-1] == "  tuning: 35/40 steps, 0.2 steps/s, 20 s left"


def test_on_a_terminal_one_line_is_redrawn_at_most_every_half_second(clock: Clock) -> None:
    stream = Terminal()
    reporter = Reporter(stream)
    steps = reporter.steps("answers", "prompts")
    for done in range(4):
        steps(done, 40)
        clock.now += 0.3
    drawn = stream.getvalue()
    assert "\n" not in drawn
    assert [line.partition(" prompts")[0] for line in drawn.split("\r\x1b[K")] == [
        "",
        "  answers: 0/40",
        "  answers: 2/40",
    ]


def test_a_message_does_not_run_into_the_open_line() -> None:
    stream = Terminal()
    reporter = Reporter(stream)
    reporter.steps("answers", "prompts")(1, 40)
    reporter.say("done")
    reporter.say("bye")
    assert stream.getvalue().endswith("1/40 prompts\ndone\nbye\n")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_quiet_writes_nothing(stream: io.StringIO) -> None:
    reporter = Reporter(stream, quiet=True)
    reporter.say("hello")
    steps = reporter.steps("answers", "prompts")
    steps(0, 1)
    steps(1, 1)
    assert stream.getvalue() == ""


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter()
    reporter.say("hello")
    reporter.steps("answers", "prompts")(1, 1)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "hello\n  answers: 1/1 prompts\n"
