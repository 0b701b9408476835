"""Vectors kept in the store: a text is embedded once per embedder and kind.

A bf16 vector depends, to rounding, on the batch that it was computed in: what is kept is the vector of the first time,
to the bit. The texts of a call are put into blocks before the store is asked, and each block is stored whole: a run
that was killed goes on with the blocks, and so the vectors, of an uninterrupted one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from fourfold.digest import digest_of
from fourfold.embed.port import Embedder, Kind, Vectors
from fourfold.errors import StoreError
from fourfold.store import Store

Progress = Callable[[int, int], None]
# Some seconds of work on two cores: what a kill may cost. sentence-transformers sorts within a block.
_BLOCK_TEXTS = 512
# Little-endian on every machine, so that a store can be carried to another.
_STORED = np.dtype("<f4")


class CachedEmbedder:
    """An embedder whose vectors are kept in a store. It holds the store's connection: one thread.

    `n_hits` counts the texts that were found, `n_computed` those that were embedded; equal texts of one call count
    once.

    Args:
        embedder: computes what is not there.
        store: where vectors are kept.
        progress: told (texts done, texts in all) of a call that computes.
    """

    def __init__(self, embedder: Embedder, store: Store, *, progress: Progress | None = None) -> None:
        self._embedder = embedder
        self._store = store
        self._progress = progress
        self._digest = digest_of(dict(embedder.identity))
        self.n_hits = 0
        self.n_computed = 0

    @property
    def identity(self) -> Mapping[str, str | int | None]:
        """That of the embedder: where a vector comes from changes nothing."""
        return self._embedder.identity

    @property
    def max_tokens(self) -> int | None:
        """That of the embedder."""
        return self._embedder.max_tokens

    def count_tokens(self, texts: Sequence[str], *, kind: Kind) -> list[int] | None:
        """Counted by the embedder; not kept."""
        return self._embedder.count_tokens(texts, kind=kind)

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        """Vectors [N, D], float32, of length 1: those of the first time that each text was embedded.

        Raises:
            StoreError: vectors of another dimension are stored for this embedder, or the store cannot be written.
        """
        keys = {text: digest_of([self._digest, kind, text]) for text in texts}
        if not keys:
            return self._embedder.embed([], kind=kind)
        ordered = sorted(keys, key=lambda text: (-len(text), text))
        found: dict[str, bytes] = {}
        n_computed = self.n_computed
        for start in range(0, len(ordered), _BLOCK_TEXTS):
            block = ordered[start : start + _BLOCK_TEXTS]
            self._fill({text: keys[text] for text in block}, kind, found)
            if self._progress is not None and self.n_computed > n_computed:
                self._progress(start + len(block), len(ordered))
        return np.stack([np.frombuffer(found[text], dtype=_STORED) for text in texts]).astype(np.float32, copy=False)

    def _fill(self, keys: Mapping[str, str], kind: Kind, found: dict[str, bytes]) -> None:
        """Add the vectors of one block to `found`, those that are stored and those that have to be computed."""
        stored = self._read(self._store.connection, keys.values())
        missing = [text for text, key in keys.items() if key not in stored]
        if missing:
            vectors = self._embedder.embed(missing, kind=kind).astype(_STORED, copy=False)
            # Read again after writing: another process may have embedded one of these texts meanwhile, and the first
            # vector is the one that counts.
            stored |= self._write([keys[text] for text in missing], vectors)
        self.n_hits += len(keys) - len(missing)
        self.n_computed += len(missing)
        found |= {text: stored[key] for text, key in keys.items()}

    @staticmethod
    def _read(db: sqlite3.Connection, keys: Iterable[str]) -> dict[str, bytes]:
        wanted = json.dumps(list(keys))
        return dict(
            db.execute(
                "SELECT key, vector FROM vectors WHERE key IN (SELECT value FROM json_each(?))", (wanted,)
            ).fetchall()
        )

    def _write(self, keys: Sequence[str], vectors: Vectors) -> dict[str, bytes]:
        dimension = int(vectors.shape[1])
        with self._store.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO embedders VALUES (?, ?, ?)",
                (self._digest, json.dumps(dict(self.identity), sort_keys=True, ensure_ascii=False), dimension),
            )
            (kept,) = db.execute("SELECT dimension FROM embedders WHERE digest = ?", (self._digest,)).fetchone()
            if kept != dimension:
                raise _other_dimension(self.identity, seen=dimension, kept=kept)
            db.executemany(
                "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)",
                [(key, self._digest, vector.tobytes()) for key, vector in zip(keys, vectors, strict=True)],
            )
            return self._read(db, keys)


def _other_dimension(identity: Mapping[str, str | int | None], *, seen: int, kept: int) -> StoreError:
    return StoreError(
        "the embedder's vectors changed their length",
        seen=f"{seen} numbers in a vector of {identity}",
        expected=f"{kept}, as those that are stored",
        hint="another model now answers to that name: name it otherwise in the study file, or use a new --runs folder",
    )
