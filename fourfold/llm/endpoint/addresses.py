"""Which of several addresses the next request goes to."""

from __future__ import annotations

from collections.abc import Sequence

# Long enough that a dead address costs little, short enough that a restarted server is soon used again.
SET_ASIDE_S = 30.0


class Addresses:
    """Takes turns among addresses; one that cannot be reached is left out for a while, one that asks for it is paused.

    A paused address gets no request before its time. One left out is asked all the same where no other is left, so
    that a lone server that restarts is waited for by the retries alone.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._turn = 0
        self._paused_until = dict.fromkeys(urls, 0.0)
        self._aside_until = dict.fromkeys(urls, 0.0)

    def choose(self, now: float) -> tuple[str, float]:
        """The address whose turn it is, and the seconds until one should ask again; 0: it may be asked now."""
        ring = self._urls[self._turn :] + self._urls[: self._turn]
        if all(self._aside_until[url] > now for url in ring):
            url = min(ring, key=lambda url: self._aside_until[url])
            ready_at = self._paused_until[url]
        else:
            url = next((url for url in ring if self._ready_at(url) <= now), ring[0])
            ready_at = min(self._ready_at(url) for url in ring)
        if ready_at > now:
            return url, ready_at - now
        self._turn = (self._urls.index(url) + 1) % len(self._urls)
        return url, 0.0

    def pause(self, url: str, until: float) -> None:
        """Ask this one nothing until then."""
        self._paused_until[url] = max(self._paused_until[url], until)

    def set_aside(self, url: str, now: float) -> None:
        """Leave out one that could not be reached."""
        self._aside_until[url] = now + SET_ASIDE_S

    def restore(self, url: str) -> None:
        """Note that this one answered."""
        self._aside_until[url] = 0.0

    def _ready_at(self, url: str) -> float:
        return max(self._paused_until[url], self._aside_until[url])
