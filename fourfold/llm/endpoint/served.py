"""What a server says of the model it serves."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import httpx

from fourfold.errors import ModelError
from fourfold.llm.endpoint.client import Client
from fourfold.llm.endpoint.faults import PassingError, RefusedError, not_reachable
from fourfold.llm.endpoint.replies import ListedModel, ModelList, read_as
from fourfold.study import EndpointSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model as its server lists it.

    Args:
        weights: the name of what stands behind the model's name, with parameters and bytes where the server tells.
        context_tokens: prompt and answer together; None where the server does not say.
        names: all that the server lists, adapters among them.
    """

    weights: str
    context_tokens: int | None
    names: frozenset[str] = field(compare=False)


async def look_up(client: Client, settings: EndpointSettings) -> Served:
    """The model that the endpoint serves, alike at every address that can be reached.

    Raises:
        ModelError: no address can be reached, one does not list the model, or two serve different ones.
    """
    found: dict[str, Served] = {}
    missing: dict[str, str] = {}
    for url in settings.urls:
        try:
            found[url] = _entry(await client.look(url, "/models", _read), settings, url)
        except (PassingError, RefusedError) as error:
            missing[url] = str(error)
    if not found:
        raise not_reachable(missing)
    for url, reason in missing.items():
        _log.warning("%s is left out for now: %s", url, reason)
    if len(set(found.values())) > 1:
        raise ModelError(
            "the endpoint's addresses serve different models",
            seen="; ".join(f"{url}: {served.weights}" for url, served in found.items()),
            expected="the same model at each, with the same context",
            hint="start them alike, or name one of them in model.endpoint.urls",
        )
    return next(iter(found.values()))


def _read(response: httpx.Response) -> ModelList:
    return read_as(ModelList, response.content, charset=response.charset_encoding, url=str(response.url))


def _entry(models: ModelList, settings: EndpointSettings, url: str) -> Served:
    listed = {name: model for model in models.data for name in (*model.aliases, model.id)}
    # Ollama lists NAME:latest and answers to NAME.
    listed = {name.removesuffix(":latest"): model for name, model in listed.items()} | listed
    if settings.model not in listed:
        raise ModelError(
            "the endpoint does not list the model",
            seen=f"{url} lists {', '.join(sorted(model.id for model in models.data)) or 'nothing'}",
            expected=settings.model,
            hint="correct model.endpoint.model, or have the server serve it",
        )
    entry = listed[settings.model]
    return Served(weights=_weights(entry), context_tokens=_context(entry), names=frozenset(listed))


def _weights(entry: ListedModel) -> str:
    # `created` is left out: vLLM gives the time of the request.
    meta = entry.meta
    size = f" {meta.n_params} parameters {meta.size} bytes" if meta and meta.n_params and meta.size else ""
    return (entry.root or entry.id) + size


def _context(entry: ListedModel) -> int | None:
    return entry.max_model_len or (entry.meta.n_ctx if entry.meta else None)
