"""Unanswerable test questions, made from documents that are no part of the corpus."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from fourfold.app.context import Context
from fourfold.app.stages.ingest import options_beside
from fourfold.digest import digest_of
from fourfold.ingest.candidates import Skip
from fourfold.ingest.corpus import read_corpus
from fourfold.ingest.listing import list_pdfs
from fourfold.ingest.ocr import Ocr
from fourfold.ingest.unanswerable import make_unanswerable
from fourfold.types import Block, Document, Question

# Beside the seeds of tuning (+ 0) and test questions (+ 1).
_SEED = 2


def outside_inputs(context: Context) -> dict[str, str]:
    """Digests of the documents outside and of how their scans are read; nothing where there are none."""
    folder = context.study.questions.outside
    if folder is None:
        return {}
    files = [(file.name, file.doc_id or file.problem) for file in list_pdfs(folder)]
    return {"outside": digest_of([files, ocr_identity(options_beside(context.study.corpus, os.environ).ocr)])}


def ocr_identity(ocr: Ocr) -> Any:
    """What of OCR a text depends on."""
    return None if ocr.mode == "off" else [ocr.mode, ocr.language, ocr.tesseract and ocr.tesseract.version]


def unanswerable_questions(
    context: Context,
    documents: Sequence[Document],
    blocks: Sequence[Block],
    *,
    n_answerable: int,
    skip: Skip,
) -> tuple[Question, ...]:
    """The study's share of them, none from a quote that is skipped; none where it names no documents outside."""
    settings = context.study.questions
    if settings.outside is None:
        return ()
    return make_unanswerable(
        read_corpus(settings.outside, options=options_beside(context.study.corpus, os.environ)),
        documents,
        blocks,
        n_answerable=n_answerable,
        skip=skip,
        share=settings.unanswerable_share,
        seed=settings.seed + _SEED,
    )
