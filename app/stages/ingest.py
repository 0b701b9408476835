"""ingest: PDFs to documents and blocks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.progress import Reporter, format_seconds
from fourfold.digest import digest_of
from fourfold.ingest.corpus import Corpus, read_corpus
from fourfold.ingest.listing import list_pdfs
from fourfold.ingest.ocr import Ocr, find_tesseract
from fourfold.ingest.passwords import Password, lock_states, take_passwords
from fourfold.ingest.reading import ReadOptions
from fourfold.ingest.workers import Progress
from fourfold.study import CorpusSettings

_N_SAID = 20  # files told one by one; all of them are in the store


def read_options(corpus: CorpusSettings, environment: Mapping[str, str]) -> ReadOptions:
    """What the readers are told.

    Args:
        corpus: the settings.
        environment: the environment that holds the passwords.
    """
    tesseract = find_tesseract() if corpus.ocr != "off" else None
    return ReadOptions(
        ocr=Ocr(mode=corpus.ocr, language=corpus.ocr_language, tesseract=tesseract),
        passwords=_passwords(corpus, environment),
        seconds_per_page=corpus.seconds_per_page,
    )


def options_beside(corpus: CorpusSettings, environment: Mapping[str, str]) -> ReadOptions:
    """The same for documents beside the corpus (a control, or outside it), without its passwords: of other files."""
    return read_options(corpus.model_copy(update={"passwords": {}}), environment)


def _passwords(corpus: CorpusSettings, environment: Mapping[str, str]) -> dict[str, Password]:
    return take_passwords(corpus.passwords, environment)


def _settings(context: Context) -> Mapping[str, Any]:
    corpus = context.study.corpus
    options = read_options(corpus, os.environ)
    ocr = options.ocr
    return {
        "ocr": None if ocr.mode == "off" else [ocr.mode, ocr.language, ocr.tesseract and ocr.tesseract.version],
        "ocr missing": ocr.missing,
        # Not the passwords, nor anything made from them: they could be guessed from it.
        "passwords": lock_states(corpus.folder, options.passwords),
        "seconds_per_page": corpus.seconds_per_page,
    }


def _inputs(context: Context) -> dict[str, str]:
    # A file that cannot be opened is recorded by the stage itself; it must still change the key.
    files = [(file.name, file.doc_id or file.problem) for file in list_pdfs(context.study.corpus.folder)]
    return {"files": digest_of(files)}


def _run(context: Context, _: Path | None) -> Outcome:
    settings = context.study.corpus
    progress = _Shown(context.reporter)
    corpus = read_corpus(settings.folder, options=read_options(settings, os.environ), on_progress=progress)
    _say(context.reporter, corpus)
    read = [document for document in corpus.documents if document.status == "read"]
    return Outcome(
        records=[*corpus.documents, *corpus.blocks],
        content={},
        summary={
            "n_files": len(corpus.documents),
            "n_read": len(read),
            "n_pages": sum(document.n_pages for document in read),
            "n_ocr_pages": sum(len(document.ocr) for document in read),
            "n_blocks": len(corpus.blocks),
            "n_characters": sum(document.n_chars for document in read),
        },
    )


def _say(reporter: Reporter, corpus: Corpus) -> None:
    lines = [f"  not read: {d.name}: {d.reason}" for d in corpus.documents if d.status == "unread"]
    for document in corpus.documents:
        notes = list(document.notes)
        if document.status == "read" and document.unread_pages:
            notes.insert(0, f"{len(document.unread_pages)} of {document.n_pages} pages without text")
        if notes:
            lines.append(f"  noted: {document.name}: {'; '.join(notes)}")
    for line in lines[:_N_SAID]:
        reporter.say(line)
    if len(lines) > _N_SAID:
        reporter.say(f"  and {len(lines) - _N_SAID} more")


class _Shown:
    """Files and pages read so far, pages a second, time left by the bytes that are left."""

    _REDRAW_S, _LOG_S = 0.5, 15.0

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._started = time.monotonic()
        self._drawn = float("-inf")

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        pause = self._REDRAW_S if self._reporter.redraws else self._LOG_S
        last = progress.n_done == progress.n_files
        if now - self._drawn < pause and not last:
            return
        self._drawn = now
        seconds = max(now - self._started, 1e-9)
        text = f"  reading: {progress.n_done}/{progress.n_files} files, {progress.n_pages} pages"
        text += f", {progress.n_pages / seconds:.1f} pages/s"
        if progress.n_bytes_done and not last:
            left = seconds * (progress.n_bytes - progress.n_bytes_done) / progress.n_bytes_done
            text += f", {format_seconds(left)} left"
        self._reporter.draw(text)


STAGE = Stage(
    name="ingest",
    version=3,
    settings=_settings,
    inputs=_inputs,
    run=_run,
    describe=lambda s: f"{s['n_read']} of {s['n_files']} files read, {s['n_pages']} pages, {s['n_blocks']} blocks",
)
