"""Questions without a model: a number, a date or a named term of a sentence is asked for.

A cloze test blanks a word out and asks for it (Taylor 1953); as a question set for reading machines: Hermann et al.
2015 (named entities), Petroni et al. 2019 (LAMA, one object a statement). The answer is known, because it was taken out
of the sentence; the supporting quote is the sentence. What it cannot do: the question repeats its sentence, so that a
search finds the passage easily, and it asks for one word where people ask for facts. Retrieval is flattered by it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fourfold.digest import digest_of
from fourfold.ingest.candidates import Candidate, Skip, find_candidates, share_out
from fourfold.ingest.dedup import NearDuplicates
from fourfold.ingest.filter_log import FilterLog
from fourfold.ingest.filters import content_words, points_elsewhere, script_of
from fourfold.ingest.generate import DUPLICATE, Generated, require_cover
from fourfold.ingest.tags import Sections
from fourfold.text import contains_run, squad_tokens
from fourfold.types import Block, Document, Question, Split

BlankKind = Literal["date", "number", "name", "word"]
BLANK = "_____"
_ASKED: Mapping[BlankKind, str] = {
    "date": "date", "number": "number", "name": "name or term", "word": "word",
}  # fmt: skip
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?"
)
_DATE = re.compile(
    rf"\b\d{{1,2}} {_MONTH}(?:,? \d{{4}})?(?!\w)|\b{_MONTH} \d{{1,2}}(?:, \d{{4}})?(?!\w)|\b{_MONTH} \d{{4}}\b"
    r"|\b\d{4}-\d{2}-\d{2}\b"
    # A bare year, where the word before says that it is one.
    r"|(?:(?<=\b[Ii]n )|(?<=\bsince )|(?<=\buntil )|(?<=\bfrom )|(?<=\byear ))(?:19|20)\d{2}\b(?![-/.]\d)"
)
_WORDED = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|ninety|hundred"
)
_NUMBER = re.compile(
    rf"(?<![\w./:§#&-])[-−]?\d+(?:,\d{{3}})*(?:\.\d+)?%?(?![\w/:@-]|[.,]\d)|(?<![\w-])(?:{_WORDED})(?![\w-])"
)
# "Table 3" and "unit(5)" name a place or a thing; the number says nothing by itself.
_LABEL = re.compile(
    r"(?:\b(?:figures?|fig|tables?|sections?|chapters?|pages?|parts?|steps?|versions?|equations?|appendix|items?|notes?"
    r"|volumes?|no|release|level)\.? |\()$",
    re.IGNORECASE,
)
_NAME = re.compile(
    # A path or an identifier; a run of capitalised words; an acronym.
    r"(?<![\w./:@-])(?:/?\w[\w.+-]*(?:[/_][\w.+-]+)+)(?![\w/:@'’])"
    r"|(?<![\w./:@-])[A-Z][\w-]*[a-z0-9][\w-]*(?: [A-Z][\w-]*)*(?![\w/:@'’]|\.\w| [A-Z])"
    r"|(?<![\w./:@-])[A-Z][A-Z0-9-]+(?![\w/:@'’]|\.\w| [A-Z])"
)
# "GNU-style" is no name, "and/or" no path, and "Table" a label.
_NO_NAME = re.compile(
    r"[A-Z][\w-]*-[a-z]{3,}|(and|he|his|she|input|on|yes|read|s)/(or|she|her|he|output|off|no|write)"
    r"|Tables?|Figures?|Sections?|Chapters?|Pages?|Parts?|Appendix|Equations?|Notes?|Steps?|See|Click \w+|Do"
)
# Behind "see" stands a heading's first word ("see Picking a distribution"), behind an acronym a name's second word ("X
# Window System", "GIS Skills").
_NO_NAME_BEFORE = re.compile(
    r"\b([Ss]ee|[Rr]efer to|[Cc]onsult)( also)?( the)? $|(?<![.!?:;] )(?<!^)\b[A-Z][A-Z0-9-]* $"
)
# A capital here may be a sentence's, after a footnote's number too.
_BREAK = re.compile(r"[.!?:;]\d*[)\"”’]?\s+[(\"“‘]?$|^[(\"“‘]?$")
_WORD = re.compile(r"[^\W\d_]{6,}")
_MAX_NAME_WORDS = 4
# What is left must still say what is asked for: words with a meaning beside the blank.
_MIN_LEFT = 4
# A name in more sentences than this (number, share) is the document's subject: "Debian" stands in 406 of the
# quickstart's 2,870.
_COMMON_FROM, _COMMON_SHARE = 3, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Blank:
    """What can be taken out of a sentence: `[start, end)` of it."""

    kind: BlankKind
    start: int
    end: int


def find_blanks(sentence: str) -> tuple[Blank, ...]:
    """Dates, numbers and named terms of a sentence, in its order; where they overlap, the first of these three kinds.

    A name is a capitalised run of 1 to 4 words, an acronym, a path or an identifier; a capital at the start of a
    sentence makes none. A number with a label before it ("Table 3") is none.
    """
    found: list[Blank] = []
    for kind, pattern in (("date", _DATE), ("number", _NUMBER), ("name", _NAME)):
        for match in pattern.finditer(sentence):
            start, end = match.start(), match.end() - (match.group().endswith(".") and kind == "name")
            free = all(end <= other.start or other.end <= start for other in found)
            if free and _is_blank(kind, sentence, start, end):
                found.append(Blank(kind=kind, start=start, end=end))  # type: ignore[arg-type]
    return tuple(sorted(found, key=lambda blank: blank.start))


def _is_blank(kind: str, sentence: str, start: int, end: int) -> bool:
    text = sentence[start:end]
    if kind == "number":
        return _LABEL.search(sentence[:start]) is None
    if kind == "name":
        opens = text[0].isupper() and _BREAK.search(sentence[:start]) is not None
        short = len(text.split()) <= _MAX_NAME_WORDS and sum(map(str.isalpha, text)) >= 2
        whole = _NO_NAME_BEFORE.search(sentence[:start]) is None
        return short and whole and not opens and _NO_NAME.fullmatch(text) is None
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ClozeGenerator:
    """Asks for one blank a sentence.

    Args:
        seed: of the order of sentences, and of which blank of a sentence is asked for.
        split: of the questions; all but "test" must cover every document, where nothing else can be asked with a long
            word as the blank.
        tags: of the sections.
        filtered: False keeps what fails a check.
        max_share: of a document's sentences, at most this part is asked about.
        covered: ids of documents that have questions already, and may get no further one.
    """

    seed: int
    split: Split = "tuning"
    tags: Sections = field(default_factory=dict)
    filtered: bool = True
    max_share: float = 1.0
    covered: frozenset[str] = frozenset()

    def generate(
        self, documents: Sequence[Document], blocks: Sequence[Block], *, n_wanted: int, skip: Skip | None = None
    ) -> Generated:
        """Questions over every document, shared out by their size; fewer where sentences with a blank run out.

        Raises:
            FairnessError: a document has no sentence to ask about, and the questions are not for testing.
        """
        queues = find_candidates(documents, blocks, seed=self.seed, skip=skip)
        most = {doc_id: int(self.max_share * len(queue)) for doc_id, queue in queues.items()}
        quota = share_out(n_wanted, {doc_id: len(queue) for doc_id, queue in queues.items()})
        log, seen, n_tried = FilterLog(), NearDuplicates(), 0
        kept: dict[str, list[Question]] = {}
        for doc_id, queue in queues.items():
            wanted, own = min(quota[doc_id], most[doc_id]), kept.setdefault(doc_id, [])
            common = _common(queue)
            for any_word in (False, True):
                if own or (any_word and (self.split == "test" or doc_id in self.covered)):
                    break
                for candidate in queue:
                    if len(own) == wanted:
                        break
                    n_tried += not any_word
                    question = self._ask(candidate, log, common, any_word=any_word)
                    if question is not None and self._takes(question, log, seen, anyway=not own):
                        own.append(question)
        if self.split != "test":
            require_cover([document for document in documents if document.doc_id not in self.covered], kept)
        counts = log.counts()
        return Generated(
            questions=tuple(question for own in kept.values() for question in own),
            refused={count.name: count.n_dropped for count in counts if count.n_dropped},
            n_tried=n_tried,
            filters=counts,
        )

    def _ask(self, candidate: Candidate, log: FilterLog, common: frozenset[str], *, any_word: bool) -> Question | None:
        chooser = random.Random(f"{self.seed} {candidate.doc_id} {candidate.start}")  # noqa: S311 (no secret)
        blanks = _words(candidate.quote) if any_word else find_blanks(candidate.quote)
        if self.filtered:
            refusals = {
                "no number, date or named term": not blanks,
                "the sentence does not stand alone": points_elsewhere(candidate.quote),
            }
            if log.first_refusal(refusals, candidate.quote) is not None:
                return None
            blanks, refusals = _fitting(candidate, blanks, common)
            if log.first_refusal(refusals, candidate.quote) is not None:
                return None
        if not blanks:
            return None
        kind = chooser.choice(sorted({blank.kind for blank in blanks}))
        return self._question(candidate, chooser.choice([blank for blank in blanks if blank.kind == kind]))

    def _takes(self, question: Question, log: FilterLog, seen: NearDuplicates, *, anyway: bool) -> bool:
        if not self.filtered:
            return True
        text = f"{question.question} {question.reference}"
        repeats = seen.add(question.question_id, text) is not None and not (anyway and self.split != "test")
        return log.first_refusal({DUPLICATE: repeats}, text) is None

    def _question(self, candidate: Candidate, blank: Blank) -> Question:
        answer = candidate.quote[blank.start : blank.end]
        return Question(
            question_id="c-" + digest_of([candidate.doc_id, candidate.start, candidate.end, blank])[:16],
            split=self.split,
            question=cloze_question(candidate, blank),
            reference=" ".join(answer.split()),
            key_facts=(),
            doc_id=candidate.doc_id,
            document=candidate.document,
            page=candidate.page,
            start=candidate.start,
            end=candidate.end,
            quote=candidate.quote,
            section=candidate.section,
            reference_source="quote",
            kind=f"cloze {blank.kind}",
            tags=self.tags.get((candidate.doc_id, candidate.section), ()),
            answerable=True,
            evidence="text",
            n_passages=1,
        )


def cloze_question(candidate: Candidate, blank: Blank) -> str:
    """`In "Storing seeds", which number fills the blank: "Seeds must be stored below _____ degrees Celsius."?`."""
    section = " ".join((candidate.section[-1] if candidate.section else candidate.document).split()).replace('"', "'")
    left = f"{candidate.quote[: blank.start]}{BLANK}{candidate.quote[blank.end :]}"
    return f'In "{section}", which {_ASKED[blank.kind]} fills the blank: "{" ".join(left.split())}"?'


def _words(sentence: str) -> tuple[Blank, ...]:
    return tuple(Blank(kind="word", start=m.start(), end=m.end()) for m in _WORD.finditer(sentence) if m.start() > 0)


def _common(candidates: Sequence[Candidate]) -> frozenset[str]:
    """Names that so many of a document's sentences hold that guessing one is no knowledge of a fact."""
    names = Counter(
        name
        for candidate in candidates
        for name in {candidate.quote[b.start : b.end] for b in find_blanks(candidate.quote) if b.kind == "name"}
    )
    most = max(_COMMON_FROM, _COMMON_SHARE * len(candidates))
    return frozenset(name for name, n_sentences in names.items() if n_sentences > most)


def _fitting(
    candidate: Candidate, blanks: Sequence[Blank], common: frozenset[str]
) -> tuple[tuple[Blank, ...], dict[str, bool]]:
    """The blanks that can be asked for; and per check whether no blank was left after it."""
    checks: Mapping[str, Callable[[str, str, str], bool]] = {
        "the rest gives the answer away": lambda answer, _, asked: contains_run(
            squad_tokens(asked), squad_tokens(answer)
        ),
        "in too many sentences of its document to be a fact": lambda answer, _, __: answer in common,
        "no word is left as the answer": lambda answer, _, __: not squad_tokens(answer),
        "the rest says too little": lambda _, left, __: len(set(content_words(left))) < _MIN_LEFT,
        "in another script than its quote": lambda _, left, asked: script_of(asked) != script_of(left),
    }
    left_over, refusals = list(blanks), {}
    for name, fails in checks.items():
        left_over = [blank for blank in left_over if not fails(*_parts(candidate, blank))]
        refusals[name] = not left_over
    return tuple(left_over), refusals


def _parts(candidate: Candidate, blank: Blank) -> tuple[str, str, str]:
    quote = candidate.quote
    return (
        quote[blank.start : blank.end],
        f"{quote[: blank.start]} {quote[blank.end :]}",
        cloze_question(candidate, blank),
    )
