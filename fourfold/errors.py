"""Everything fourfold raises on purpose.

    FourfoldError                 base; never raised itself
    ├── InputError                the caller's: files, settings, questions     exit code 2
    │   ├── StudyError            the study file or an override
    │   ├── DocumentError         a folder or file of documents
    │   ├── QuestionError         test or tuning questions
    │   ├── ModelError            a model that is not there or cannot be used
    │   ├── StoreError            a results folder of another version, or full
    │   └── FairnessError         a comparison that would not be fair
    └── SystemFaultError          ours or the machine's, after retries         exit code 1

A message has four parts: what failed, the value seen, what was expected, what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence


class FourfoldError(Exception):
    """Base of every error raised on purpose.

    Args:
        what: what failed, as a short statement.
        seen: the value seen.
        expected: what was expected instead.
        hint: what to do next.
    """

    exit_code = 1

    def __init__(self, what: str, *, seen: object, expected: str, hint: str) -> None:
        self.what = what
        self.seen = seen
        self.expected = expected
        self.hint = hint
        super().__init__(f"{what}\n  seen:     {seen}\n  expected: {expected}\n  do next:  {hint}")


class InputError(FourfoldError):
    """Something the caller can put right."""

    exit_code = 2


class StudyError(InputError):
    """The study file or an override is wrong."""


class DocumentError(InputError):
    """No usable documents."""


class QuestionError(InputError):
    """Test or tuning questions are missing or wrong."""


class ModelError(InputError):
    """A model cannot be found or used."""


class StoreError(InputError):
    """The results folder cannot be used."""


class FairnessError(InputError):
    """The comparison would break a fairness rule."""


class SystemFaultError(FourfoldError):
    """A fault of ours or of the machine."""


def raise_all(problems: Sequence[FourfoldError]) -> None:
    """Raise everything that is wrong together; nothing where nothing is.

    Raises:
        FourfoldError: the only problem itself, or an InputError that holds several.
    """
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise InputError(
            f"{len(problems)} things are wrong",
            seen="\n\n" + "\n\n".join(str(problem) for problem in problems) + "\n",
            expected="none of these",
            hint="put them right and run the same command again",
        )
