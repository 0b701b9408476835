"""The head of a GGUF file: what it says of the model, and how many numbers its tensors hold.

Source: the GGUF specification of ggml, version 3 (2 is laid out alike). The gguf package reads the same in 3 s, because
it makes an array of every word of the vocabulary; here they are passed over.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
# Larger than any word or key; a file of another kind gives any number here.
_MOST_BYTES = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """Single values by their key (lists are passed over), and the numbers of all tensors together."""

    values: Mapping[str, str | int | float | bool]
    n_numbers: int


def read_gguf_header(file: Path) -> GgufHeader:
    """Read the head of a file.

    Raises:
        ValueError: it is no GGUF file of version 2 or 3, or breaks off.
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        if opened.read(4) != b"GGUF" or _number(opened, "I") not in {2, 3}:
            raise ValueError("not a GGUF file of version 2 or 3")
        n_tensors, n_values = int(_number(opened, "Q")), int(_number(opened, "Q"))
        values = {}
        for _ in range(n_values):
            key = _string(opened)
            value = _value(opened, int(_number(opened, "I")))
            if value is not None:
                values[key] = value
        return GgufHeader(values=values, n_numbers=sum(_tensor(opened) for _ in range(n_tensors)))


def _tensor(opened: BinaryIO) -> int:
    _string(opened)
    dimensions = [int(_number(opened, "Q")) for _ in range(int(_number(opened, "I")))]
    _number(opened, "I")
    _number(opened, "Q")
    return math.prod(dimensions)


def _value(opened: BinaryIO, kind: int) -> str | int | float | bool | None:
    if kind == _STRING:
        return _string(opened)
    if kind != _ARRAY:
        return _number(opened, _format(kind))
    kind, length = int(_number(opened, "I")), int(_number(opened, "Q"))
    if kind in _NUMBERS:
        opened.seek(length * struct.calcsize(_format(kind)), 1)
    else:
        for _ in range(length):
            _value(opened, kind)
    return None


def _format(kind: int) -> str:
    if kind not in _NUMBERS:
        raise ValueError(f"a value of kind {kind}")
    return _NUMBERS[kind]


def _string(opened: BinaryIO) -> str:
    length = int(_number(opened, "Q"))
    if length > _MOST_BYTES:
        raise ValueError(f"a word of {length} bytes")
    return _exactly(opened, length).decode("utf-8", errors="replace")


def _number(opened: BinaryIO, code: str) -> int | float | bool:
    (value,) = struct.unpack(f"<{code}", _exactly(opened, struct.calcsize(code)))
    number: int | float | bool = value
    return number


def _exactly(opened: BinaryIO, length: int) -> bytes:
    held = opened.read(length)
    if len(held) < length:
        raise ValueError("it breaks off")
    return held
