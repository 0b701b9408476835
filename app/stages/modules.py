"""modules: what the retrieval modules of a study need before the first question: rewriter, filter, memory."""

from __future__ import annotations

from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages import knowledge_filter, memory, rewriter

STAGE = Stage(
    name="modules",
    version=1,
    settings=lambda _: {},
    inputs=lambda _: {},
    run=lambda _context, _folder: Outcome(records=[], content={}, summary={}),
    # In this order: the filter's labels need neither, memory is filled through both.
    parts=lambda _: [rewriter.STAGE, knowledge_filter.STAGE, memory.STAGE],
)
