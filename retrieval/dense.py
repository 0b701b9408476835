"""Dense search: a Qdrant collection that holds the vectors of given chunks and of no others.

BM25 is no sparse vector beside them: a server's collection is shared by results, whose documents would count in each
other's word frequencies, and the embedded client scores sparse vectors in Python. bm25s takes 0.3 ms a query.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fourfold.embed.port import Vectors
from fourfold.errors import StoreError, SystemFaultError
from fourfold.retrieval.binding import VECTOR, Binding, create, read_dimension, require_dimension
from fourfold.retrieval.points import Point, points_of
from fourfold.retrieval.qdrant import Server, ask, opened, written_at_once
from fourfold.types import Chunk

if TYPE_CHECKING:
    from qdrant_client import models

EmbedPassages = Callable[[Sequence[str]], Vectors]

# A request of 20 bytes a number stays under 10 MB; a server takes 32 MB.
_NUMBERS_A_WRITE = 500_000
_IDS_A_READ = 10_000
_QUERIES_A_READ = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """Chunks that were embedded and written, and points that were removed."""

    n_written: int
    n_removed: int


class DenseIndex:
    """The vectors of some chunks. Close it: a folder is locked while open.

    Args:
        place: a folder for the embedded mode, or a server.
        chunks: what it holds, or is to hold after `sync`.
        identity: the embedder's; a collection belongs to one.

    Raises:
        StoreError: another process has the folder open, it is damaged, or another embedder made it.
        SystemFaultError: the server does not answer.
    """

    def __init__(self, place: Path | Server, chunks: Sequence[Chunk], identity: Mapping[str, str | int | None]) -> None:
        self._place = place
        self._points = {point.point_id: point for point in points_of(chunks)}
        quantisation = place.quantisation if isinstance(place, Server) else "none"
        self._binding = Binding(embedder=dict(identity), quantisation=quantisation)
        self._name = place.collection if isinstance(place, Server) else "chunks"
        with ExitStack() as stack:
            self._client = stack.enter_context(opened(place))
            self._dimension = ask(place, self._read_dimension)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is pending and release the folder."""
        self._stack.close()

    @property
    def is_whole(self) -> bool:
        """Whether every chunk's vector is there, and in a folder no other."""
        present = self._present()
        return present == self._points.keys() if isinstance(self._place, Path) else present >= self._points.keys()

    def sync(self, embed: EmbedPassages) -> Synced:
        """Embed and write what is missing, remove what is of none of these documents, count what stands there.

        Raises:
            SystemFaultError: fewer points than chunks stand there afterwards.
        """
        present = self._present()
        missing = [point for point_id, point in self._points.items() if point_id not in present]
        if missing:
            self._write(missing, embed([point.chunk.text for point in missing]))
        n_removed = self._remove(present)
        if lost := len(self._points.keys() - self._present()):
            raise SystemFaultError(
                "vectors were lost on their way into the index",
                seen=f"{len(self._points) - lost} of {len(self._points)} in {self._where}",
                expected="one for each chunk",
                hint="run the same command again; if it stays so, look at the disk and at Qdrant's log",
            )
        return Synced(n_written=len(missing), n_removed=n_removed)

    def search(self, vectors: Vectors, limit: int) -> list[list[tuple[str, float]]]:
        """Chunk ids with their cosines, best first, for each query vector [Q, D] of length 1.

        Raises:
            StoreError: vectors of another length, or points that were there are gone.
        """
        if not len(vectors):
            return []
        assert self._dimension is not None, "sync comes first"
        require_dimension(int(vectors.shape[1]), expected=self._dimension, where=self._where)
        requests = self._requests(vectors, limit)
        found: list[list[tuple[str, float]]] = []
        for start in range(0, len(requests), _QUERIES_A_READ):
            batch = requests[start : start + _QUERIES_A_READ]
            replies = ask(self._place, partial(self._client.query_batch_points, self._name, batch))
            found += [[self._hit(hit) for hit in reply.points] for reply in replies]
        least = min(map(len, found))
        # The graph may find fewer; an exact search cannot.
        if self._binding.quantisation == "none" and least < min(limit, len(self._points)):
            raise StoreError(
                "vectors that were there are gone",
                seen=f"{least} chunk(s) found in {self._where}",
                expected=f"{min(limit, len(self._points))}, as many as were asked for",
                hint="see what else writes there, then run the same command again: what is missing is written again",
            )
        return found

    def _requests(self, vectors: Vectors, limit: int) -> list[models.QueryRequest]:
        from qdrant_client import models

        # Else rows would depend on where they were found. The embedded client is exact and knows no such choice.
        on_server = isinstance(self._place, Server)
        exact = models.SearchParams(exact=True) if on_server and self._binding.quantisation == "none" else None
        return [
            models.QueryRequest(query=vector.tolist(), using=VECTOR, limit=limit, filter=self._parts, params=exact)
            for vector in vectors
        ]

    def _hit(self, hit: models.ScoredPoint) -> tuple[str, float]:
        return self._points[str(hit.id)].chunk.chunk_id, float(hit.score)

    @property
    def _where(self) -> str:
        return str(self._place) if isinstance(self._place, Path) else f"'{self._name}' at {self._place.url}"

    @cached_property
    def _parts(self) -> models.Filter | None:
        """What on a server belongs to these chunks; an embedded collection holds nothing else."""
        from qdrant_client import models

        if isinstance(self._place, Path):
            return None
        parts = sorted({point.part for point in self._points.values()})
        return models.Filter(must=[models.FieldCondition(key="part", match=models.MatchAny(any=parts))])

    def _read_dimension(self) -> int | None:
        """Of the collection, if it is there."""
        if not self._client.collection_exists(self._name):
            return None
        return read_dimension(self._client, self._name, self._binding, where=self._where)

    def _present(self) -> set[str]:
        """Ids of the points that are there."""
        if self._dimension is None:
            return set()
        found: set[str] = set()
        offset: models.ExtendedPointId | None = None
        while True:
            read = partial(
                self._client.scroll,
                self._name,
                self._parts,
                _IDS_A_READ,
                offset=offset,
                with_payload=False,
            )
            records, offset = ask(self._place, read)
            found.update(str(record.id) for record in records)
            if offset is None:
                return found

    def _write(self, points: Sequence[Point], vectors: Vectors) -> None:
        from qdrant_client import models

        if self._dimension is None:
            dimension = int(vectors.shape[1])
            server = isinstance(self._place, Server)
            ask(self._place, partial(create, self._client, self._name, self._binding, dimension, server=server))
            self._dimension = ask(self._place, self._read_dimension)
            assert self._dimension is not None
        require_dimension(int(vectors.shape[1]), expected=self._dimension, where=self._where)
        size = max(1, _NUMBERS_A_WRITE // self._dimension)
        with written_at_once(self._client, self._name, self._place):
            for start in range(0, len(points), size):
                own = points[start : start + size]
                batch = models.Batch(
                    ids=[point.point_id for point in own],
                    vectors={VECTOR: vectors[start : start + size].tolist()},
                    payloads=[dict(point.payload) for point in own],
                )
                ask(self._place, partial(self._client.upsert, self._name, batch))

    def _remove(self, present: Collection[str]) -> int:
        """Take out what is not of these chunks; how many points that were.

        A folder is of one result. On a server documents that left the corpus go; other cuts of the same documents stay.
        """
        from qdrant_client import models

        selector: models.PointIdsList | models.FilterSelector
        if isinstance(self._place, Path):
            stale = sorted(set(present) - self._points.keys())
            n_stale, selector = len(stale), models.PointIdsList(points=list(stale))
        else:
            documents = sorted({point.chunk.doc_id for point in self._points.values()})
            ours = models.FieldCondition(key="doc_id", match=models.MatchAny(any=documents))
            others = models.Filter(must_not=[ours])
            n_stale = ask(self._place, partial(self._client.count, self._name, others, exact=True)).count
            selector = models.FilterSelector(filter=others)
        if n_stale:
            with written_at_once(self._client, self._name, self._place):
                ask(self._place, partial(self._client.delete, self._name, selector))
        return n_stale
