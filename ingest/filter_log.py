"""What each filter saw and dropped, with examples: the report shows a count, never a silent loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_SHOWN = 3
_SHOWN_CHARS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterCount:
    """One filter. `n_seen` items reached it, `n_dropped` of them ended there; `examples` are the first of these."""

    name: str
    n_seen: int
    n_dropped: int
    examples: tuple[str, ...]


@dataclass(slots=True)
class _Tally:
    n_seen: int = 0
    n_dropped: int = 0
    examples: list[str] = field(default_factory=list)


class FilterLog:
    """Counts for filters that stand in a row: an item that one of them drops is not seen by those after it."""

    def __init__(self) -> None:
        self._tallies: dict[str, _Tally] = {}

    def first_refusal(self, checks: Mapping[str, bool], text: str, *, prefix: str = "") -> str | None:
        """Count an item through checks in their order.

        Args:
            checks: name to whether the item fails it.
            text: the item, for the examples.
            prefix: put before the names in the counts only.

        Returns:
            The name of the first check that the item fails; None if it passes all.
        """
        for name, dropped in checks.items():
            tally = self._tallies.setdefault(prefix + name, _Tally())
            tally.n_seen += 1
            if dropped:
                tally.n_dropped += 1
                if len(tally.examples) < _SHOWN:
                    tally.examples.append(text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…")
                return name
        return None

    def counts(self) -> tuple[FilterCount, ...]:
        """Every filter that saw an item, in the order in which they first did."""
        return tuple(
            FilterCount(name=name, n_seen=t.n_seen, n_dropped=t.n_dropped, examples=tuple(t.examples))
            for name, t in self._tallies.items()
        )
