"""Settings: the language model, in this process or on a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from fourfold.study.settings import EMBEDDED, VARIABLE, Settings


class EndpointSettings(Settings):
    """An OpenAI-compatible server that answers in place of a model in this process."""

    urls: tuple[str, ...] = Field(
        min_length=1, description="base URLs, as http://127.0.0.1:8000/v1; several serve the same model and take turns"
    )
    model: str = Field(min_length=1, description="the model's name on the server")
    key_variable: str | None = Field(
        None,
        pattern=VARIABLE,
        description="name of the environment variable that holds the key, which is never stored or shown; null: no key",
    )
    adapters: Mapping[str, str] = Field(
        {}, description="tuned adapters that the server has: name of their stage (tune, tune-seed-1 …) to model name"
    )
    max_in_flight: int = Field(16, ge=1, le=1024, description="requests under way at once, all addresses together")
    requests_per_minute: int | None = Field(None, ge=1, description="requests sent a minute; null: no limit")
    tokens_per_minute: int | None = Field(
        None, ge=1, description="prompt and answer tokens a minute, estimated first and corrected later; null: no limit"
    )
    timeout_s: float = Field(120.0, gt=0, le=3600, description="seconds a request may take from sending to last byte")
    retries: int = Field(5, ge=0, le=20, description="further tries of a request that failed in a way that may pass")

    @field_validator("urls", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("urls")
    @classmethod
    def _plain_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("must be base URLs, as http://127.0.0.1:8000/v1")
            # Settings are stored and shown; a key has its own way in.
            if parts.username or parts.password or parts.query or parts.fragment:
                raise ValueError("must hold no key, user or query: name the key's variable in key_variable")
        plain = tuple(url.rstrip("/") for url in value)
        if len(set(plain)) != len(plain):
            raise ValueError("names an address twice")
        return plain


class ModelSettings(Settings):
    """The language model that every arm uses."""

    id: str = Field(
        EMBEDDED,
        min_length=1,
        description="'embedded' (SmolLM2-135M-Instruct), a Hugging Face id, or a local folder in that form",
    )
    dtype: Literal["bfloat16", "float32"] = Field("bfloat16", description="of resident weights and activations")
    quantisation: Literal["nf4", "none"] = Field(
        "nf4", description="nf4: linear weights rounded to 4-bit NormalFloat once and kept resident, dequantised"
    )
    batch_tokens: int = Field(
        16_384, ge=256, description="tokens: prompts × (longest prompt + answer limit) of one batch stay under this"
    )
    endpoint: EndpointSettings | None = Field(
        None, description="a server that answers for every arm; null: the model runs in this process"
    )
