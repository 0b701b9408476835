"""ingest: PDFs to documents and blocks."""

from __future__ import annotations

from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.digest import digest_of, digest_of_file
from fourfold.ingest.corpus import find_pdfs, read_corpus


def _inputs(context: Context) -> dict[str, str]:
    folder = context.study.corpus.folder
    return {"files": digest_of([(path.relative_to(folder).as_posix(), _digest(path)) for path in find_pdfs(folder)])}


def _digest(path: Path) -> str:
    try:
        return digest_of_file(path)
    except OSError as error:
        # A file that cannot be opened is recorded by the stage itself; it must still change the key.
        return f"unreadable: {error.strerror}"


def _run(context: Context, _: Path | None) -> Outcome:
    steps = context.reporter.steps("reading", "files")
    corpus = read_corpus(context.study.corpus.folder, on_file=lambda done, total, _name: steps(done, total))
    read = [document for document in corpus.documents if document.status == "read"]
    for document in corpus.documents:
        if document.status == "unread":
            context.reporter.say(f"  not read: {document.name}: {document.reason}")
    return Outcome(
        records=[*corpus.documents, *corpus.blocks],
        content={},
        summary={
            "n_files": len(corpus.documents),
            "n_read": len(read),
            "n_pages": sum(document.n_pages for document in read),
            "n_blocks": len(corpus.blocks),
            "n_characters": sum(document.n_chars for document in read),
        },
    )


STAGE = Stage(
    name="ingest",
    version=1,
    settings=lambda _: {},
    inputs=_inputs,
    run=_run,
    describe=lambda s: f"{s['n_read']} of {s['n_files']} files read, {s['n_pages']} pages, {s['n_blocks']} blocks",
)
