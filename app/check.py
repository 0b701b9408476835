"""Everything that can be known to be wrong before anything expensive, all mistakes together."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fourfold.app.context import find_key
from fourfold.app.vector_server import describe_server
from fourfold.arms import arms_of
from fourfold.embed.limit import max_input_tokens
from fourfold.errors import FourfoldError, ModelError, StoreError, StudyError
from fourfold.ingest.corpus import find_pdfs
from fourfold.ingest.generators import describe_test_questions
from fourfold.llm.weights import Weights, find_embedder, find_language_model
from fourfold.store import Store
from fourfold.study import EndpointSettings, StudySettings

# Measured on the quickstart (LOG.md, 2026-11-24): beside the weights a run holds 3.5 GB at most while tuning
# (micro-batches of 2 rows of 750 tokens) and 2 GB while answering, and writes 150 MB.
_WORKING_BYTES_TUNING = 3_500_000_000
_WORKING_BYTES_ANSWERING = 2_000_000_000
_RESULT_BYTES = 300_000_000
# A GGUF of 4 bits a weight becomes 16 bits a weight.
_GGUF_GROWTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: what was found, or what is wrong."""

    what: str
    found: str | None
    problem: FourfoldError | None


def check_study(study: StudySettings, runs: Path, *, cache: Path) -> list[Finding]:
    """Look at corpus, questions, models, disk, memory and the working folder. Loads no weights; a hub id is fetched."""
    weights: list[Weights] = []

    def model() -> str:
        weights.append(find_language_model(study.model.id, cache))
        return weights[0].name

    return [
        _look("corpus", lambda: f"{len(find_pdfs(study.corpus.folder))} PDF files in {study.corpus.folder}"),
        *([_look("control", lambda: _control(study))] if study.tuning.control is not None else []),
        _look("test questions", lambda: describe_test_questions(study.questions)),
        _look("language model", model),
        *([_look("endpoint", functools.partial(_endpoint, study.model.endpoint))] if study.model.endpoint else []),
        *_judges(study),
        _look("embedder", lambda: _embedder(study)),
        _look("vectors", lambda: describe_server(os.environ, study.index) or "in the index's folder"),
        _look("working folder", lambda: _working_folder(runs)),
        _look("disk", lambda: _disk(runs, cache, weights)),
        _look("memory", lambda: _memory(study, weights)),
    ]


def _look(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what=what, found=look(), problem=None)
    except FourfoldError as error:
        return Finding(what=what, found=None, problem=error)


def _control(study: StudySettings) -> str:
    assert study.tuning.control is not None
    return f"{len(find_pdfs(study.tuning.control))} PDF file(s) in {study.tuning.control}"


def _embedder(study: StudySettings) -> str:
    if study.index.endpoint is not None:
        return _endpoint(study.index.endpoint)
    weights = find_embedder(study.index.embedder)
    limit = max_input_tokens(weights)
    # The two tokenizers cut differently, so this is a coarse bound; the index stage counts every chunk.
    if limit is not None and study.index.chunk_tokens > limit:
        raise StudyError(
            "chunks may be longer than the embedder reads",
            seen=f"index.chunk_tokens = {study.index.chunk_tokens}",
            expected=f"at most {limit}, the limit of {weights.name}",
            hint="lower index.chunk_tokens, or name an embedder with a longer input in index.embedder",
        )
    return weights.name


def _judges(study: StudySettings) -> Iterator[Finding]:
    for judge in study.judge.judges if study.judge else ():
        if judge.endpoint is not None:
            yield _look("judge", functools.partial(_endpoint, judge.endpoint))


def _endpoint(settings: EndpointSettings) -> str:
    """Whether the server can be reached and lists the model and every adapter that it is said to have."""
    import random

    from fourfold.llm.endpoint.engine import EndpointEngine

    key = find_key(os.environ, settings.key_variable)
    with EndpointEngine(settings, key=key, jitter=random.Random()) as engine:  # noqa: S311 (waits, not secrets)
        return f"{settings.model} at {', '.join(settings.urls)}: {engine.served.weights}"


def _working_folder(runs: Path) -> str:
    with Store.open(runs):
        return str(runs)


def _weight_bytes(weights: Weights) -> int:
    if weights.gguf is not None:
        return _GGUF_GROWTH * weights.gguf.stat().st_size
    return sum(path.stat().st_size for path in weights.folder.glob("*.safetensors"))


def _disk(runs: Path, cache: Path, weights: list[Weights]) -> str:
    existing = next(path for path in (runs, *runs.resolve().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    converts = bool(weights and weights[0].gguf and not weights[0].folder.exists())
    needed = _RESULT_BYTES + (_weight_bytes(weights[0]) if converts and _same_disk(existing, cache) else 0)
    if free < needed:
        raise StoreError(
            "no space for the results",
            seen=f"{free / 1e9:.2f} GB free at {existing}",
            expected=f"at least {needed / 1e9:.2f} GB",
            hint="free some, or name a folder on another disk with --runs",
        )
    return f"{free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB wanted"


def _same_disk(a: Path, b: Path) -> bool:
    existing = next(path for path in (b, *b.parents) if path.exists())
    return os.stat(a).st_dev == os.stat(existing).st_dev  # noqa: PTH116 (st_dev of both, plainly)


def _memory(study: StudySettings, weights: list[Weights]) -> str:
    if not weights:
        return "not looked at: no language model"
    tunes = any(plan.adapter for plan in arms_of(study))
    # The base is held once for answering and once more while tuning.
    needed = _weight_bytes(weights[0]) * (2 if tunes else 1)
    needed += _WORKING_BYTES_TUNING if tunes else _WORKING_BYTES_ANSWERING
    available = _available_bytes()
    if available is None:
        return f"{needed / 1e9:.1f} GB wanted; this system does not say what is free"
    if available < needed:
        raise ModelError(
            "not enough memory",
            seen=f"{available / 1e9:.1f} GB available",
            expected=f"about {needed / 1e9:.1f} GB for this model and these arms",
            hint="close other programs, name a smaller model, or leave out the tuned arms (answer.arms)",
        )
    return f"{available / 1e9:.1f} GB available, about {needed / 1e9:.1f} GB wanted"


def _available_bytes() -> int | None:
    """What Linux counts as available; None elsewhere."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return None
    for line in meminfo.read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return None
