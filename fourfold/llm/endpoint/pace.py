"""A limit of so many a minute, kept by spacing: a token bucket that holds no more than one request."""

from __future__ import annotations


class Pace:
    """Spaces amounts so that they add up to at most `per_minute` in any 60 seconds, the first of them aside.

    Hosted services count a minute's limit in shorter windows too, so a minute's worth in one burst would be refused.
    First come, first served: each `reserve` stands behind the earlier ones.

    Args:
        per_minute: the limit; None: no waiting at all.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._free_at = 0.0

    def reserve(self, amount: float, now: float) -> float:
        """Take a place for `amount`; returns the seconds to wait for it."""
        start = max(self._free_at, now)
        self._free_at = start + amount * self._seconds_each
        return start - now

    def settle(self, difference: float) -> None:
        """Correct an earlier reservation by what it really took more, or less."""
        self._free_at += difference * self._seconds_each
