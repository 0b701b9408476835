"""What can go wrong with a request, in three kinds: it may pass, it is this item's, or it holds for every item.

    PassingError     sent again: the server is busy, broken or silent, the connection or the reply broke off
    RefusedError     this item fails, the others go on
    ModelError       the run stops: wrong key, wrong model, no OpenAI-compatible server, nobody there

The first two never leave this package: what still fails after the last try becomes a `Refusal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fourfold.errors import ModelError

# 409: a lock or a conflict at the server, by the OpenAI interface's own clients tried again.
_MAY_PASS = frozenset({408, 409, 425, 429})
_NEVER_IMPLEMENTED = frozenset({501, 505})
_OF_THIS_ITEM = frozenset({400, 413, 422})
# Hosted services answer 429 to an empty account as well; waiting does not fill it.
_OUT_OF_CREDIT = ("insufficient_quota", "billing_hard_limit_reached")
# A pause beyond this is a daily limit: better to stop and say so than to sit still for hours.
LONGEST_PAUSE_S = 300.0


class PassingError(Exception):
    """The next try may succeed.

    Args:
        reason: what happened.
        pause_s: seconds that the server asks to be left alone; None where it does not say.
        unreachable: whether no connection came about.
    """

    def __init__(self, reason: str, *, pause_s: float | None = None, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.pause_s = pause_s
        self.unreachable = unreachable


class RefusedError(Exception):
    """This item fails and would fail again.

    Args:
        reason: what happened, with the server's own words where it gave any.
    """


def raise_for(status: int, said: str, *, url: str, pause_s: float | None) -> None:
    """Raise what a status other than 200 means.

    Args:
        status: of the reply.
        said: the server's words.
        url: where the request went.
        pause_s: seconds the reply asks to wait.

    Raises:
        PassingError, RefusedError, ModelError: as the module says.
    """
    seen = f"{status} {_phrase(status)} from {url}: {said}"
    if status in _MAY_PASS or (status >= 500 and status not in _NEVER_IMPLEMENTED):
        if any(code in said for code in _OUT_OF_CREDIT):
            raise ModelError(
                "the account is out of credit", seen=seen, expected="credit", hint="add some, then run the study again"
            )
        if pause_s is not None and pause_s > LONGEST_PAUSE_S:
            raise ModelError(
                f"the endpoint asks to be left alone for {pause_s:,.0f} s",
                seen=seen,
                expected=f"a pause of at most {LONGEST_PAUSE_S:.0f} s",
                hint="run the study again then, it goes on where it stopped; or lower requests_per_minute",
            )
        raise PassingError(f"{status} {_phrase(status)}: {said}", pause_s=pause_s)
    if status in _OF_THIS_ITEM:
        raise RefusedError(f"{status} {_phrase(status)}: {said}")
    raise _holds_for_all(status, seen)


def _holds_for_all(status: int, seen: str) -> ModelError:
    if status in {401, 403}:
        return ModelError(
            "the endpoint refuses the key",
            seen=seen,
            expected="a key that may use the model",
            hint="put the key into the environment variable that model.endpoint.key_variable names",
        )
    if status == 404:
        return ModelError(
            "the endpoint does not have the model, or not this path",
            seen=seen,
            expected="an OpenAI-compatible server that serves the model, and each adapter, under the name asked for",
            hint="name a model that the server lists under /models, and end each address in /v1 where the server's do",
        )
    return ModelError(
        "the endpoint does not take the request",
        seen=seen,
        expected="an OpenAI-compatible server",
        hint="correct model.endpoint.urls",
    )


def not_reachable(urls: Mapping[str, str]) -> ModelError:
    """Nobody is there.

    Args:
        urls: each address with what happened there.
    """
    return ModelError(
        "the endpoint cannot be reached",
        seen="; ".join(f"{url}: {reason}" for url, reason in urls.items()),
        expected="a server that listens there",
        hint="start it, or correct model.endpoint.urls; finished answers are kept",
    )


def not_openai(url: str, seen: str) -> ModelError:
    """Something else than an OpenAI-compatible server answers."""
    return ModelError(
        "the endpoint's answer is not that of an OpenAI-compatible server",
        seen=f"{url}: {seen}",
        expected="JSON as the OpenAI interface defines it",
        hint="correct model.endpoint.urls: most servers' addresses end in /v1, and a login page may stand before them",
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(unknown status)"
