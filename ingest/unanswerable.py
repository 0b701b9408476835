"""Questions that the corpus cannot answer, made mechanically, so that it is known: they score abstention.

Two kinds (Rajpurkar et al. 2018 have people write such questions for SQuAD 2.0): asked about documents that are
not in the corpus; and answerable ones with a named term exchanged for one that the corpus does not hold. The reference
is a refusal and the gold span is empty: retrieval has nothing to find, and key-fact recall nothing to recall.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Iterable, Sequence

from fourfold.errors import FairnessError, QuestionError
from fourfold.ingest.candidates import Skip, find_candidates
from fourfold.ingest.cloze import BLANK, ClozeGenerator, find_blanks
from fourfold.ingest.corpus import Corpus
from fourfold.types import Block, Document, Question

# The words that the default answer instructions give for it.
REFERENCE = "I don't know."
# A cloze question is of use for an exchange where its sentence holds a named term beside the blank: about one in three.
_ORIGINALS = 4
_QUOTED = re.compile(r'(?<=: ").*(?="\?$)', re.DOTALL)


def make_unanswerable(  # noqa: PLR0913 (corpus, what is outside it, and how many of what)
    outside: Corpus,
    documents: Sequence[Document],
    blocks: Sequence[Block],
    *,
    n_answerable: int,
    share: float,
    seed: int,
    skip: Skip | None = None,
) -> tuple[Question, ...]:
    """Questions of both kinds, half of each; where names to exchange run out, more about documents outside.

    Args:
        outside: documents that are no part of the corpus.
        documents: the corpus.
        blocks: the corpus' text.
        n_answerable: test questions that the corpus answers.
        share: of all test questions, these among them, in (0, 1).
        seed: of every draw.
        skip: sentences of the corpus in which no name is exchanged.

    Raises:
        FairnessError: a document of the corpus is outside too.
        QuestionError: nothing outside can be asked about.
    """
    n_wanted = max(1, round(n_answerable * share / (1 - share)))
    require_outside(outside.documents, documents)
    originals = ClozeGenerator(seed=seed, split="test").generate(
        documents, blocks, n_wanted=_ORIGINALS * n_wanted, skip=skip
    )
    exchanged = exchange_names(originals.questions, blocks, outside, n_wanted=n_wanted // 2, seed=seed)
    asked = ask_outside(outside, documents, n_wanted=n_wanted - len(exchanged), seed=seed)
    if not (asked or exchanged):
        raise QuestionError(
            "no unanswerable question can be made",
            seen=f"{len(outside.documents)} document(s) outside without a sentence that holds a number, date or name",
            expected="documents with running text",
            hint="name another folder in questions.outside, or leave it out",
        )
    return (*asked, *exchanged)


def ask_outside(outside: Corpus, documents: Sequence[Document], *, n_wanted: int, seed: int) -> tuple[Question, ...]:
    """Cloze questions about documents outside the corpus, in their test form.

    `doc_id`, `document`, `page` and `quote` say where the answer would have stood.

    Args:
        outside: the other documents.
        documents: the corpus.
        n_wanted: how many; fewer where sentences with a blank run out.
        seed: of the draw.

    Raises:
        FairnessError: a document of the corpus is among them.
    """
    require_outside(outside.documents, documents)
    made = ClozeGenerator(seed=seed, split="test").generate(outside.documents, outside.blocks, n_wanted=n_wanted)
    return tuple(
        _unanswerable(question, question.question, kind="unanswerable outside")
        for question in made.questions[:n_wanted]
    )


def exchange_names(
    questions: Sequence[Question],
    blocks: Iterable[Block],
    outside: Corpus,
    *,
    n_wanted: int,
    seed: int,
) -> tuple[Question, ...]:
    """Cloze questions with a named term exchanged for one that stands nowhere in the corpus.

    The term is of the outside documents and of the kind of the one that it replaces: a path or identifier, an acronym,
    or so many words; a question for which there is none is passed over. Nobody checks whether the corpus happens to
    answer the result, so a share of these marks may be wrong, and a term of another subject is easier to see through
    than a near miss.

    Args:
        questions: answerable cloze questions; those without a named term beside the blank are passed over.
        blocks: the corpus' text, in which no new term may stand.
        outside: where new terms come from.
        n_wanted: how many; fewer where questions run out.
        seed: of the choice.
    """
    text = "\n".join(block.text for block in blocks).casefold()
    pool = sorted(name for name in _names(outside) if name.casefold() not in text)
    chooser = random.Random(seed)  # noqa: S311 (a choice, not a secret)
    order = list(questions)
    chooser.shuffle(order)
    found: list[Question] = []
    for question in order:
        if len(found) == n_wanted or not pool:
            break
        old = _exchangeable(question.question)
        alike = [] if old is None else [name for name in pool if _kind(name) == _kind(old)]
        if old is not None and alike:
            asked = question.question.replace(old, chooser.choice(alike))
            found.append(_unanswerable(question, asked, kind="unanswerable exchanged"))
    return tuple(found)


def require_outside(outside: Sequence[Document], documents: Sequence[Document]) -> None:
    """Stop where a document is inside and outside.

    Raises:
        FairnessError: with the names.
    """
    inside = {document.doc_id: document.name for document in documents}
    both = [f"{document.name} (= {inside[document.doc_id]})" for document in outside if document.doc_id in inside]
    if both:
        raise FairnessError(
            "questions on documents outside the corpus would be answerable",
            seen=f"in both: {', '.join(both)}",
            expected="documents that are no part of the corpus",
            hint="name other files in questions.outside",
        )


def _exchangeable(question: str) -> str | None:
    """The first named term of the quoted sentence, the blank aside."""
    quoted = _QUOTED.search(question)
    if quoted is None:
        return None
    names = [quoted.group()[b.start : b.end] for b in find_blanks(quoted.group()) if b.kind == "name"]
    return next((name for name in names if BLANK not in name), None)


def _kind(name: str) -> tuple[str, int]:
    if re.search(r"[/_.\d]", name):
        return "path", 1
    return "acronym" if name.isupper() else "words", len(name.split())


def _unanswerable(question: Question, asked: str, *, kind: str) -> Question:
    return dataclasses.replace(
        question,
        question_id=f"u-{question.question_id}",
        split="test",
        question=asked,
        reference=REFERENCE,
        key_facts=(),
        end=question.start,
        kind=kind,
        stratum=None,
        answerable=False,
        evidence=None,
        n_passages=None,
    )


def _names(corpus: Corpus) -> set[str]:
    queues = find_candidates(corpus.documents, corpus.blocks, seed=0)
    sentences = [candidate.quote for queue in queues.values() for candidate in queue]
    return {
        " ".join(sentence[blank.start : blank.end].split())
        for sentence in sentences
        for blank in find_blanks(sentence)
        if blank.kind == "name"
    }
