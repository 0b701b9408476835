"""The format control: rows of another corpus, in the form and number of the study's own (fairness rule 3).

Its questions are written by the same model with the same prompts and checks as the study's tuning questions, so that
nothing but the subject differs. What an adapter tuned on them gains on the test questions is answer style.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.stages.ingest import options_beside
from fourfold.app.stages.outside import ocr_identity
from fourfold.app.stages.questions import tuning_generator
from fourfold.app.stages.retrieved import Indexed
from fourfold.app.stages.training_set import Built, Retriever, Source, build_training_set
from fourfold.digest import digest_of, digest_of_file, digest_of_folder
from fourfold.errors import FairnessError
from fourfold.ingest.corpus import find_pdfs, read_corpus
from fourfold.retrieval.chunkers.choose import make_chunker
from fourfold.retrieval.index import build_index, require_k
from fourfold.tuning.rows import TuningRow
from fourfold.types import Document


def control_inputs(context: Context) -> dict[str, str]:
    """Digests of what the control's rows are made of, beside what every adapter depends on."""
    settings = context.study.questions
    written = {"n_tuning": settings.n_tuning, "max_question_tokens": settings.max_question_tokens,
               "max_reference_tokens": settings.max_reference_tokens, "seed": settings.seed,
               "candidates_per_question": settings.candidates_per_question, "generator": settings.generator,
               "prompts": None if settings.prompts is None else digest_of_folder(settings.prompts),
               "tags": {name: list(words) for name, words in settings.tags.items()}}  # fmt: skip
    return {
        "control files": digest_of([digest_of_file(path) for path in find_pdfs(_folder(context))]),
        "control OCR": digest_of(ocr_identity(options_beside(context.study.corpus, os.environ).ocr)),
        "control questions": digest_of(written),
        "chunks": digest_of(context.chunk_settings),
        "embedder": context.embedder_identity,
    }


def build_control_set(context: Context, folder: Path, seed: int, *, n_tokens: int) -> Built:
    """A training set of the control corpus whose rows hold as many tokens as the study's own, to within one row.

    Args:
        context: the study; its results up to the index are there.
        folder: scratch space; the control's own index is built in it and removed.
        seed: of the tuning.
        n_tokens: prompt and answer tokens of the study's rows, all in all.

    Raises:
        FairnessError: the control has a document of the study's corpus.
        DocumentError: no readable PDF in the folder.
    """
    study = context.study
    corpus = read_corpus(_folder(context), options=options_beside(study.corpus, os.environ))
    _require_other(context, corpus.documents)
    questions = tuning_generator(context, corpus.blocks).generate(
        corpus.documents, corpus.blocks, n_wanted=study.questions.n_tuning + _n_validation(context)
    ).questions  # fmt: skip
    chunks = make_chunker(study.index, context.count_tokens()).chunk(corpus.blocks)
    require_k(study.retrieval.k, len(chunks))
    index = folder / "control-index"
    shutil.rmtree(index, ignore_errors=True)
    build_index(index, chunks, context.embedder)
    indexed = Indexed(folder=index, chunks=chunks, documents=corpus.documents)
    n_tuning = max(1, len(questions) - _n_validation(context))
    source = Source(
        tuning=questions[:n_tuning],
        validation=questions[n_tuning:],
        # The study's memory knows nothing of another corpus.
        retriever=Retriever(context, indexed, modules=("rewriter", "filter")),
    )
    built = build_training_set(context, source, "control", seed)
    shutil.rmtree(index)
    filled = dataclasses.replace(built.data, rows=fill(built.data.rows, n_tokens))
    return dataclasses.replace(built, data=filled, questions=questions)


def _n_validation(context: Context) -> int:
    # Its checkpoint is chosen as the study's own is: by questions of its own.
    return context.study.questions.n_validation if context.study.tuning.checkpoint == "best" else 0


def _require_other(context: Context, documents: Sequence[Document]) -> None:
    own = {document.doc_id for document in context.documents if document.status == "read"}
    names = [document.name for document in documents if document.status == "read" and document.doc_id in own]
    if names:
        raise FairnessError(
            "the format control would learn the study's own documents",
            seen=f"in both: {', '.join(names)}",
            expected="documents of another subject",
            hint="name another folder in tuning.control",
        )


def fill(rows: Sequence[TuningRow], n_tokens: int) -> list[TuningRow]:
    """Rows in their order, begun again where they run out, until they hold `n_tokens` to within half a row."""
    filled: list[TuningRow] = []
    total = 0
    while True:
        row = rows[len(filled) % len(rows)]
        # Taken where that comes closer than leaving it; the first always is.
        if filled and abs(total + row.n_tokens - n_tokens) >= abs(total - n_tokens):
            return filled
        filled.append(row)
        total += row.n_tokens


def _folder(context: Context) -> Path:
    folder = context.study.tuning.control
    assert folder is not None
    return folder
