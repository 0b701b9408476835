"""How long to wait before a request is sent again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_FIRST_S = 0.5
_LONGEST_S = 30.0


def backoff_s(n_failed: int, jitter: random.Random) -> float:
    """Seconds before the try after `n_failed` failed ones (1 or more): uniform from 0 to a limit that doubles.

    Source: "full jitter" in Brooker 2015, Exponential Backoff And Jitter, AWS Architecture Blog.
    """
    return jitter.uniform(0, min(_LONGEST_S, _FIRST_S * 2 ** (n_failed - 1)))


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds a reply asks to wait; None where it asks for none that can be read.

    Args:
        headers: of the reply, names in lower case. `retry-after-ms` (Azure's) stands before `retry-after` (RFC 9110,
            10.2.3: seconds or a date). A date is counted from the reply's own `date` where it has one: then the
            server's clock may be wrong.
        now: date in UTC.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return seconds
    until = _date(value)
    if until is None:
        return None
    return max(0.0, (until - (_date(headers.get("date")) or now)).total_seconds())


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    # Also refuses nan and inf.
    return number if 0 <= number < 1e9 else None


def _date(value: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
