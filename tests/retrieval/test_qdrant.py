from __future__ import annotations

import pytest
from support.memory_qdrant import address, refusal, unreachable

from fourfold.errors import StoreError, SystemFaultError
from fourfold.retrieval.qdrant import WAITS_S, ask


class Server:
    """Answers after some faults."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.n_asked = 0

    def __call__(self) -> str:
        self.n_asked += 1
        if self.faults:
            raise self.faults.pop(0)
        return "answer"


@pytest.mark.parametrize("fault", [unreachable(), refusal(503), refusal(500, "shard is restarting"), refusal(429)])
def test_a_server_that_restarts_is_waited_for(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    waits: list[float] = []
    assert ask(address(waits), Server(fault, fault, fault)) == "answer"
    assert waits == [0.5, 1.0, 2.0]
    assert caplog.text.count("asked again in") == 3


def test_a_server_that_stays_away_is_an_error_after_a_minute() -> None:
    waits: list[float] = []
    server = Server(*[unreachable()] * 99)
    with pytest.raises(SystemFaultError, match="does not answer") as error:
        ask(address(waits), server)
    assert waits == list(WAITS_S)
    assert 55 < sum(waits) < 65
    assert server.n_asked == len(WAITS_S) + 1
    assert "Connection refused" in str(error.value.seen)
    assert "QDRANT_URL" in error.value.hint


@pytest.mark.parametrize(
    ("fault", "words", "hint"),
    [
        (refusal(401), "refuses the key", "QDRANT_API_KEY"),
        (refusal(403), "refuses the key", "QDRANT_API_KEY"),
        (refusal(400, "wrong vector"), "refuses a request", "log"),
        (refusal(404), "refuses a request", "log"),
        (refusal(500, "WAL error: No space left on device"), "no space left", "free some"),
    ],
)
def test_what_another_try_cannot_mend_is_not_tried_again(fault: Exception, words: str, hint: str) -> None:
    waits: list[float] = []
    server = Server(fault)
    with pytest.raises(StoreError, match=words) as error:
        ask(address(waits), server)
    assert (server.n_asked, waits) == (1, [])
    assert hint in error.value.hint


def test_a_mistake_of_ours_is_no_fault_of_the_server() -> None:
    with pytest.raises(KeyError):
        ask(address(), Server(KeyError("x")))


def test_the_key_is_not_shown() -> None:
    import dataclasses

    assert "secret" not in repr(dataclasses.replace(address(), key="secret"))
