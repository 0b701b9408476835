from __future__ import annotations

import re

import pytest

from fourfold import errors
from fourfold.errors import FourfoldError, InputError, StudyError, SystemFaultError


def subclasses(of: type[FourfoldError]) -> list[type[FourfoldError]]:
    return [found for own in of.__subclasses__() for found in (own, *subclasses(own))]


def test_a_message_has_its_four_parts_in_order() -> None:
    error = StudyError("it failed", seen=7, expected="8", hint="write 8")
    assert str(error) == "it failed\n  seen:     7\n  expected: 8\n  do next:  write 8"
    assert (error.what, error.seen, error.expected, error.hint) == ("it failed", 7, "8", "write 8")


def test_no_part_may_be_left_out() -> None:
    with pytest.raises(TypeError):
        StudyError("it failed", seen=7, expected="8")  # type: ignore[call-arg]


def test_the_callers_mistakes_exit_with_2_and_system_faults_with_1() -> None:
    assert SystemFaultError.exit_code == 1
    assert {error.exit_code for error in (InputError, *subclasses(InputError))} == {2}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"^    ([ │├└─]*)(\w+Error)\b", line):
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            drawn[found[2]] = above[depth - 1] if depth else "Exception"
    real = {error.__name__: error.__bases__[0].__name__ for error in (FourfoldError, *subclasses(FourfoldError))}
    assert drawn == real
    assert len(real) > 5


def test_every_error_says_what_it_is_for() -> None:
    assert all(error.__doc__ for error in subclasses(FourfoldError))
