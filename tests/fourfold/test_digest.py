from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from fourfold.digest import digest_of, digest_of_file, digest_of_folder


@dataclass(frozen=True, slots=True)
class Pair:
    a: int
    b: tuple[str, ...]


def test_the_digest_is_sha256_of_compact_json() -> None:
    assert digest_of({"b": [1, None], "a": "ü"}) == hashlib.sha256('{"a":"ü","b":[1,null]}'.encode()).hexdigest()


def test_the_order_of_keys_does_not_matter_and_that_of_items_does() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_tuples_count_as_lists_and_dataclasses_as_mappings_of_their_fields() -> None:
    assert digest_of((1, ("x",))) == digest_of([1, ["x"]])
    assert digest_of([Pair(1, ("x",))]) == digest_of([{"a": 1, "b": ["x"]}])


@pytest.mark.parametrize(("one", "other"), [(1, "1"), (1, 1.5), (None, "null"), (["a", "b"], ["ab"]), ("", None)])
def test_different_values_have_different_digests(one: object, other: object) -> None:
    assert digest_of(one) != digest_of(other)


def test_a_digest_is_the_same_in_every_run() -> None:
    assert digest_of(["fourfold", 1, 0.05]) == "2491f2e669e3fbc48a1fa874a1ba7d6f4193fd4f800fa6852868115da7fac908"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of({"a": value})


@pytest.mark.parametrize("value", [Path("a"), {1, 2}, object(), Pair, b"x"])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="not defined"):
        digest_of([value])


@pytest.mark.parametrize("n_bytes", [0, 1, (1 << 20), (1 << 20) + 1])
def test_a_files_digest_is_that_of_its_bytes_over_any_number_of_reads(tmp_path: Path, n_bytes: int) -> None:
    data = bytes(range(256)) * (n_bytes // 256) + bytes(n_bytes % 256)
    (tmp_path / "f").write_bytes(data)
    assert digest_of_file(tmp_path / "f") == hashlib.sha256(data).hexdigest()


def test_a_folders_digest_changes_with_names_bytes_and_places_only(tmp_path: Path) -> None:
    def folder(name: str, files: dict[str, bytes]) -> str:
        for file, data in files.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_bytes(data)
        return digest_of_folder(tmp_path / name)

    one = folder("one", {"b": b"2", "a": b"1", "sub/c": b"3"})
    assert one == folder("two", {"a": b"1", "sub/c": b"3", "b": b"2"})
    assert one != folder("three", {"a": b"1", "sub/c": b"3", "b": b"!"})
    assert one != folder("four", {"a": b"1", "sub/c": b"3", "B": b"2"})
    assert one != folder("five", {"a": b"1", "c": b"3", "b": b"2"})
