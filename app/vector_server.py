"""The Qdrant server of a run: QDRANT_URL and QDRANT_API_KEY, which are never stored."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from fourfold.app.context import Context
from fourfold.digest import digest_of
from fourfold.errors import StoreError, StudyError
from fourfold.retrieval.qdrant import Server, ask, opened
from fourfold.study import IndexSettings

URL, KEY = "QDRANT_URL", "QDRANT_API_KEY"
# The first that keeps a collection's metadata, where its embedder stands.
_OLDEST = (1, 16)


def server_of(context: Context) -> Server | None:
    """Where the study's vectors are; None: in the index's own folder.

    A collection is of one study of one store, for `lock` keeps two runs from writing to one store at once.

    Raises:
        StudyError: see `address_of`.
    """
    settings = context.study.index
    url = address_of(context.environment, settings)
    if url is None:
        return None
    own = digest_of([str(context.store.folder.resolve()), context.embedder_identity, settings.quantisation])
    return Server(
        url=url,
        key=context.environment.get(KEY) or None,
        collection=f"fourfold-{context.study.name}-{own[:12]}",
        quantisation=settings.quantisation,
    )


def address_of(environment: Mapping[str, str], settings: IndexSettings) -> str | None:
    """The server's address, as http://127.0.0.1:6333 (6333 where it names no port); None: there is no server.

    Raises:
        StudyError: an address that is none, or 8-bit vectors without a server.
    """
    url = environment.get(URL)
    if not url:
        if settings.quantisation != "none":
            raise StudyError(
                "8-bit vectors need a Qdrant server",
                seen=f"index.quantisation = {settings.quantisation}, {URL} is not set",
                expected=f"a server's address in {URL}",
                hint=f"set {URL}, or leave index.quantisation out: the embedded mode keeps whole vectors",
            )
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
        raise StudyError(
            "the address of the Qdrant server cannot be used",
            seen=f"{URL} with scheme '{parts.scheme}' and host '{parts.hostname}'",
            expected="an address as http://127.0.0.1:6333, without a key",
            hint=f"correct {URL}; the key goes into {KEY}",
        )
    return url


def describe_server(environment: Mapping[str, str], settings: IndexSettings) -> str | None:
    """What answers at the address, asked once; None: there is no server.

    Raises:
        StudyError: see `address_of`.
        SystemFaultError: nothing answers.
        StoreError: it refuses the key, or is too old.
    """
    url = address_of(environment, settings)
    if url is None:
        return None
    server = Server(url=url, key=environment.get(KEY) or None, collection="", waits_s=())
    with opened(server) as client:
        version = ask(server, client.info).version
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise StoreError(
            "the Qdrant server is too old",
            seen=f"version {version} at {url}",
            expected=f"version {'.'.join(map(str, _OLDEST))} or later",
            hint="take the version that docker-compose.yml names",
        )
    return f"Qdrant {version} at {url}"
