r"""The records that two folders or more share. One row each in the store.

Offsets are characters into a document's text: its blocks' texts joined by a blank line (`"\n\n"`).
Pages are counted from 1, blocks and chunks from 0, ranks from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BLOCK_SEPARATOR = "\n\n"

BBox = tuple[float, float, float, float]
# x0, y0, x1, y1 in points from the top left corner of the page as displayed (rotation applied).

Split = Literal["test", "tuning", "validation"]
BlockKind = Literal["heading", "text", "list", "table", "caption", "footnote", "form"]
Evidence = Literal["text", "table"]
Stratum = Literal["fact asked", "passage tuned", "document tuned", "document unseen"]
Arm = Literal[
    "base", "base n-shot", "rag", "rag n-shot", "tuned", "tuned + rag",
    "control", "control + rag",
    "closed-book form", "closed-book form + rag", "contexts form", "contexts form + rag",
]  # fmt: skip
# The contestants; fourfold.arms says what each is made of.
ARMS: tuple[Arm, ...] = ("base", "base n-shot", "rag", "rag n-shot", "tuned", "tuned + rag")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file of the corpus, readable or not.

    `doc_id` is the first 16 hex digits of the SHA-256 of the file's bytes. `reason` says why an unread document
    was left out and is None for a read one; `n_chars` is 0 for an unread one. `ocr` holds page and mean word confidence
    (0 to 100) of the pages that went through OCR. `notes` says what else its owner should know: repaired, attachments
    and scripts ignored, pages that OCR could not read. `kept` holds, for the pages with text, page and share (0 to 1)
    of MuPDF's characters that are in the blocks or went as running headers. `language` is the one the file declares.
    """

    doc_id: str
    name: str
    title: str
    status: Literal["read", "unread"]
    reason: str | None
    n_pages: int
    n_chars: int
    unread_pages: tuple[int, ...] = ()
    ocr: tuple[tuple[int, float], ...] = ()
    notes: tuple[str, ...] = ()
    kept: tuple[tuple[int, float], ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A paragraph, heading or the like, at `[start, end)` of its document's text.

    A list has its items, a form its "name: value" on lines of their own; a table's text is its Markdown. `page` and
    `bbox` are those of its first part where it goes on in another column or on another page; `page_last` is
    then the page on which it ends, and None for a block on one page. `section` is the path of headings it stands under,
    outermost first; a heading's own path ends with itself.
    """

    doc_id: str
    position: int
    kind: BlockKind
    page: int
    bbox: BBox
    start: int
    end: int
    section: tuple[str, ...]
    text: str
    page_last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A run of one document's text that is indexed and retrieved as one; never crosses documents.

    `n_tokens` is by the student's tokenizer.
    """

    chunk_id: str
    doc_id: str
    position: int
    start: int
    end: int
    page_first: int
    page_last: int
    section: tuple[str, ...]
    n_tokens: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question with its gold: the character span of its supporting quote.

    `key_facts` holds, per fact, the strings any one of which states it. `section` is the lowest section that holds
    the quote. `stratum` is None for questions that are not test questions. `reference_source` says where the
    reference comes from: a person, the language model, or (its answer rejected) the quote itself. What nobody recorded
    is None: whether the documents answer it, whether the evidence is running text or a table, how many passages an
    answer needs.
    """

    question_id: str
    split: Split
    question: str
    reference: str
    key_facts: tuple[tuple[str, ...], ...]
    doc_id: str
    document: str
    page: int
    start: int
    end: int
    quote: str
    section: tuple[str, ...]
    reference_source: Literal["person", "model", "quote"]
    kind: str = ""
    stratum: Stratum | None = None
    tags: tuple[str, ...] = ()
    answerable: bool | None = None
    evidence: Evidence | None = None
    n_passages: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakedPair:
    """A tuning question taken out because it nearly repeats a test question (fairness rule 2)."""

    tuning_question: str
    tuning_reference: str
    test_question_id: str
    test_question: str
    jaccard: float
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """One chunk at `rank` for a question, with the fused score and the rank each search gave it (None: not found)."""

    question_id: str
    rank: int
    chunk_id: str
    score: float
    dense_rank: int | None
    bm25_rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one arm answered. `text` is None exactly where `failure` says why there is no answer.

    Token counts are the student's tokenizer's; `mean_logprob` is natural, per answer token (end token included).
    `tuning_seed` is the adapter's; None for an arm without one. `example_ids` are the tuning questions shown as
    examples. `cited` are the contexts, counted from 1, that the answer names; None where nobody recorded them.

    Where retrieval modules were on, the question's way: its `queries`, those of them that were `searched`, the chunks
    that the index gave for these (`n_outside`, repeats counted), the ids of chunks that memory gave (`remembered`) and
    that the filter `dropped`, what failed on the way (`module_failures`; the answer may stand all the same), and the
    model's tokens that this took.
    """

    arm: Arm
    tuning_seed: int | None
    question_id: str
    text: str | None
    failure: str | None
    n_prompt_tokens: int
    n_answer_tokens: int
    mean_logprob: float | None
    finish_reason: Literal["stop", "length"] | None
    chunk_ids: tuple[str, ...]
    example_ids: tuple[str, ...]
    generation: str | None
    cited: tuple[int, ...] | None = None
    queries: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()
    n_outside: int | None = None
    remembered: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    module_failures: tuple[str, ...] = ()
    n_module_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long one arm took for one question, nothing cached; rows stand in the order in which they were measured.

    `batch` numbers the requests that were made together, `concurrency` says how many they were: 1 in the latency pass;
    more in the throughput pass, where times are the batch's wall time divided by its (answered) requests.
    `seconds` is from the question's text to the answer's, retrieval included, and None exactly where `failure` says why
    there is no answer. `retrieval_seconds` (embed, search, fuse, assemble) is None for an arm without retrieval.
    """

    arm: Arm
    question_id: str
    batch: int
    concurrency: int
    seconds: float | None
    retrieval_seconds: float | None
    n_prompt_tokens: int
    n_answer_tokens: int
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric of one answer. `value` is None exactly where `reason` says why it is undefined."""

    arm: Arm
    tuning_seed: int | None
    question_id: str
    metric: str
    value: float | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guideline:
    """What a correct answer to one question must contain: written once, before any answer, from passage and reference.

    `text` is None exactly where `failure` says why there is none. `source` is who wrote it.
    """

    question_id: str
    text: str | None
    source: Literal["judge", "person"]
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One judge's judgement of one answer by one criterion; `repeat` counts from 0.

    `value` is in [0, 1] and None exactly where `failure` says why. Where probabilities were read, `probabilities` are
    those of the levels, best level first, renormalised, and `mass` is what they added up to before, in [0, 1]; where
    the judge wrote, `reason` holds its words.
    """

    arm: Arm
    tuning_seed: int | None
    question_id: str
    criterion: str
    judge: str
    repeat: int
    value: float | None
    failure: str | None
    reason: str | None = None
    probabilities: tuple[float, ...] = ()
    mass: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Which of two answers one judge prefers, shown in this order; `choice` is None exactly where `failure` says why.

    Of an arm with several tuning seeds, the first seed's answer.
    """

    question_id: str
    judge: str
    first: Arm
    second: Arm
    choice: Literal["first", "second", "tie"] | None
    failure: str | None
