from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from fourfold.llm.endpoint.backoff import backoff_s, retry_after_s

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("n_failed", "limit"), [(1, 0.5), (2, 1), (3, 2), (6, 16), (7, 30), (20, 30)])
def test_waits_fill_a_range_that_doubles_up_to_half_a_minute(n_failed: int, limit: float) -> None:
    jitter = random.Random(3)
    waits = [backoff_s(n_failed, jitter) for _ in range(2000)]
    assert 0 <= min(waits) < 0.02 * limit
    assert 0.98 * limit < max(waits) <= limit
    assert sum(waits) / len(waits) == pytest.approx(limit / 2, rel=0.05)


def test_the_same_jitter_gives_the_same_waits() -> None:
    assert backoff_s(3, random.Random(5)) == backoff_s(3, random.Random(5))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Wed, 25 Nov 2026 12:00:30 GMT"}, 30),
        # The server's clock is an hour fast.
        ({"retry-after": "Wed, 25 Nov 2026 13:00:30 GMT", "date": "Wed, 25 Nov 2026 13:00:00 GMT"}, 30),
        ({"retry-after": "Wed, 25 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOON) == seconds
