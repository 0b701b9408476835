from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fourfold.study import EndpointSettings, ModelSettings

URL = "http://127.0.0.1:8000/v1"


def settings(**changes: Any) -> EndpointSettings:
    return EndpointSettings(**{"urls": URL, "model": "m"} | changes)


def test_one_address_may_stand_alone_and_slashes_at_its_end_are_dropped() -> None:
    assert settings().urls == (URL,)
    assert settings(urls=[f"{URL}/", "https://host/v1//"]).urls == (URL, "https://host/v1")


@pytest.mark.parametrize(
    "urls", ["", [], "127.0.0.1:8000", "ftp://host/v1", "http://", "/v1", [URL, f"{URL}/"], "http://[::1/v1"]
)
def test_what_is_no_address_or_stands_twice_is_refused(urls: object) -> None:
    with pytest.raises(ValidationError):
        settings(urls=urls)


@pytest.mark.parametrize("url", ["http://user:pass@host/v1", "http://host/v1?key=1", "http://host/v1#a"])
def test_an_address_holds_no_key(url: str) -> None:
    with pytest.raises(ValidationError, match="key_variable"):
        settings(urls=url)


def test_a_key_in_place_of_its_variables_name_is_refused() -> None:
    with pytest.raises(ValidationError):
        settings(key_variable="sk-abc")
    assert settings(key_variable="MY_KEY").key_variable == "MY_KEY"


@pytest.mark.parametrize(
    "changes",
    [
        {"model": ""}, {"max_in_flight": 0}, {"requests_per_minute": 0}, {"tokens_per_minute": 0}, {"timeout_s": 0},
        {"timeout_s": float("inf")}, {"retries": -1}, {"url": URL},
    ],
)  # fmt: skip
def test_values_out_of_range_and_unknown_names_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)


def test_a_study_without_an_endpoint_has_none() -> None:
    assert ModelSettings().endpoint is None
    assert ModelSettings.model_validate({"endpoint": {"urls": URL, "model": "m"}}).endpoint == settings()


def test_settings_survive_being_written_and_read() -> None:
    whole = settings(adapters={"tune": "m-tuned"}, key_variable="K", requests_per_minute=60)
    assert EndpointSettings.model_validate(whole.model_dump(mode="json")) == whole
