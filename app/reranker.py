"""The reranker that a study names."""

from __future__ import annotations

from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.module_models import scorer
from fourfold.llm.weights import find_embedder
from fourfold.retrieval.rerank import Reranker
from fourfold.retrieval.rerank_cross import CrossEncoderReranker
from fourfold.retrieval.rerank_model import LanguageModelReranker
from fourfold.study import EMBEDDED

TRAINED = "train"
# Of a trained one, within the index's folder.
FOLDER = "reranker"


def reranker_of(context: Context) -> Reranker | None:
    """What reorders the candidates; None: nothing does.

    Raises:
        ModelError: a model that is not there.
    """
    name = context.study.retrieval.reranker
    if name is None:
        return None
    if name == EMBEDDED:
        return LanguageModelReranker(scorer(context))
    folder: Path = context.index_folder / FOLDER if name == TRAINED else find_embedder(name).folder
    return CrossEncoderReranker(folder, device=context.device)


def reranker_identity(context: Context) -> str | None:
    """What of a reranker that is not trained here an order depends on; the language model is named elsewhere."""
    name = context.study.retrieval.reranker
    return None if name in {None, EMBEDDED, TRAINED} else find_embedder(str(name)).digest
