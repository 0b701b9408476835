"""A collection belongs to one embedder: written into its metadata when it is made, compared when it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fourfold.errors import StoreError

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

VECTOR = "dense"
# Raise it when points of an older fourfold would be found otherwise than those of this one.
_FORMAT = 1
_CONFLICT = 409
_INDEXED = ("part", "doc_id", "section", "chunk_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What the vectors of a collection are: the embedder's identity (weights, normalisation, prompts), and how kept.

    Vectors have length 1, so their dot product is the cosine; the embedded client would else normalise all of them
    anew for each query (8.5 against 2.8 ms at 10,000 × 384).
    """

    embedder: Mapping[str, str | int | None]
    quantisation: Literal["none", "int8"]

    @property
    def metadata(self) -> dict[str, str | int | None]:
        """As it stands with the collection."""
        own = {f"embedder.{name}": value for name, value in self.embedder.items()}
        return {"fourfold": _FORMAT, "distance": "dot", "quantisation": self.quantisation, **own}


def create(client: QdrantClient, name: str, binding: Binding, dimension: int, *, server: bool) -> None:
    """Make a collection unless another process has just made it; on a server with its indexes over the payload."""
    from qdrant_client import models
    from qdrant_client.http.exceptions import UnexpectedResponse

    quantised = models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    )
    try:
        client.create_collection(
            name,
            vectors_config={VECTOR: models.VectorParams(size=dimension, distance=models.Distance.DOT)},
            quantization_config=quantised if binding.quantisation == "int8" else None,
            metadata=binding.metadata,
        )
    except UnexpectedResponse as error:
        if error.status_code != _CONFLICT:
            raise
    if server:
        # The embedded client has none: it looks at every point.
        for field in _INDEXED:
            client.create_payload_index(name, field, models.PayloadSchemaType.KEYWORD)


def read_dimension(client: QdrantClient, name: str, binding: Binding, *, where: str) -> int:
    """Numbers in a vector of a collection that is bound to this embedder.

    Raises:
        StoreError: it is bound to another, or not by fourfold.
    """
    config = client.get_collection(name).config
    found = dict(config.metadata or {})
    if found != binding.metadata:
        raise _other(found, binding.metadata, where)
    vectors = config.params.vectors
    assert isinstance(vectors, dict)
    return int(vectors[VECTOR].size)


def require_dimension(seen: int, *, expected: int, where: str) -> None:
    """Refuse vectors of another length: an endpoint's identity may not name it.

    Raises:
        StoreError: they are of another length.
    """
    if seen != expected:
        raise _other({"dimension": expected}, {"dimension": seen}, where)


def _other(found: Mapping[str, object], wanted: Mapping[str, object], where: str) -> StoreError:
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    return StoreError(
        "the index was made by another embedder",
        seen=f"{where}: " + ", ".join(f"{name} = {found.get(name)!r}" for name in names),
        expected=", ".join(f"{name} = {wanted.get(name)!r}" for name in names),
        hint="name the embedder that made it, or delete the collection: it is made again",
    )
