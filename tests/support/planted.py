"""Planted truth: an invented corpus and recorded answers of four arms whose true key-fact recall is known.

Every key fact of a question is stated by an arm or not. Behind that stands a normal variable made of what section,
question and fact contribute, partly shared by all arms and partly the arm's own; an arm states the fact where the
variable lies under the quantile of its planted recall. So the expected recall is the planted one exactly, arms find
the same questions hard, and both recalls and *differences* of recall are correlated within a section.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from fourfold.app.stages.score import score_answers, score_retrieved
from fourfold.evals.clusters import choose_clusters
from fourfold.evals.report.build import Rows, build_report
from fourfold.evals.report.data import Report
from fourfold.evals.verdict import ArmResults, Verdict, decide
from fourfold.study import AnswerSettings, CorpusSettings, Metric, ScoreSettings, StudySettings, VerdictSettings
from fourfold.types import Answer, Arm, Chunk, Document, Question, Retrieved

ARMS: tuple[Arm, ...] = ("base", "rag", "tuned", "tuned + rag")
PRIMARY: Metric = "key_fact_recall"
N_FACTS = 3
N_DOCUMENTS = 6
SECTION_SIZES = (2, 4, 6)
# Questions a section, in turn: unequal, as a real test set's are.

SPREAD: Mapping[str, tuple[float, float]] = {"section": (0.1, 0.1), "question": (0.2, 0.1), "fact": (0.35, 0.15)}
# Share of the variance that each level contributes: in common to all arms, and the arm's own. They add up to 1.

PROMPT_TOKENS: Mapping[Arm, int] = {"base": 30, "tuned": 60, "rag": 600, "tuned + rag": 660}
# Set the order of costs, base < tuned < rag < tuned + rag: further apart than answers differ in length (20 tokens).

SYLLABLES = tuple(onset + vowel for onset in "bdfgklmnprstvz" for vowel in "aeiou")
SAYS = "The {subject} weir was built by {0}, opened in {1} and is {2} metres long."
# The arms that read passages word it differently, so that the second string of a key fact counts too.
SAYS_FROM_PASSAGES = "{0} built the {subject} weir. It opened in {1} and measures {2} m."
KNOWS_NOTHING = "I don't know."


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One truth. `winner` is the arm that rule 9 names on the true means at a margin of up to 0.1."""

    name: str
    recall: Mapping[Arm, float]
    winner: Arm

    @property
    def effect(self) -> float | None:
        """How much the winner truly beats the best cheaper arm by; None where no arm is cheaper."""
        cheaper = [arm for arm in ARMS if PROMPT_TOKENS[arm] < PROMPT_TOKENS[self.winner]]
        return self.recall[self.winner] - max(self.recall[arm] for arm in cheaper) if cheaper else None


def _case(name: str, *recall: float, winner: Arm) -> Case:
    return Case(name=name, recall=dict(zip(ARMS, recall, strict=True)), winner=winner)


CASES = (
    # Of base, rag, tuned, tuned + rag. Where one way wins, the other adds nothing to it: the cheaper arm has to win
    # over one that is exactly as good.
    _case("rag wins", 0.30, 0.60, 0.40, 0.60, winner="rag"),
    _case("tuning wins", 0.30, 0.35, 0.50, 0.50, winner="tuned"),
    _case("both add up", 0.30, 0.50, 0.50, 0.70, winner="tuned + rag"),
    _case("tie", 0.50, 0.50, 0.50, 0.50, winner="base"),
    _case("neither beats base", 0.50, 0.48, 0.46, 0.46, winner="base"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corpus:
    """Invented documents with questions. `right` and `wrong` hold a value per question and fact, never the same."""

    documents: tuple[Document, ...]
    chunks: tuple[Chunk, ...]
    questions: tuple[Question, ...]
    subjects: tuple[str, ...]
    right: tuple[tuple[str, ...], ...]
    wrong: tuple[tuple[str, ...], ...]
    sections: NDArray[np.intp]


def section_sizes(n_sections: int) -> list[int]:
    """Questions of each section."""
    return [SECTION_SIZES[place % len(SECTION_SIZES)] for place in range(n_sections)]


def make_corpus(n_sections: int, *, seed: int) -> Corpus:
    """A corpus with `section_sizes` questions, each on an invented weir; one chunk a section."""
    rng = np.random.default_rng(seed)
    sizes = section_sizes(n_sections)
    n = sum(sizes)
    picked = rng.choice(len(SYLLABLES) ** 3, size=3 * n, replace=False)
    names = [SYLLABLES[k // 4900] + SYLLABLES[k // 70 % 70] + SYLLABLES[k % 70] for k in map(int, picked)]
    subjects, builders, others = ([name.capitalize() for name in names[k::3]] for k in range(3))
    # Two different years and two different lengths each; a length never looks like a year.
    years = [rng.choice(np.arange(1500, 2000), size=2, replace=False) for _ in range(n)]
    metres = [rng.choice(np.arange(10, 1000), size=2, replace=False) for _ in range(n)]
    right = tuple((builders[q], str(years[q][0]), str(metres[q][0])) for q in range(n))
    wrong = tuple((others[q], str(years[q][1]), str(metres[q][1])) for q in range(n))
    sections = np.repeat(np.arange(n_sections), sizes)
    documents, chunks, questions = _write(subjects, right, sections)
    return Corpus(
        documents=documents, chunks=chunks, questions=questions, subjects=tuple(subjects), right=right, wrong=wrong,
        sections=sections,
    )  # fmt: skip


def _write(
    subjects: Sequence[str], right: Sequence[Sequence[str]], sections: NDArray[np.intp]
) -> tuple[tuple[Document, ...], tuple[Chunk, ...], tuple[Question, ...]]:
    """Every sentence states one question's facts and is its quote; a section's sentences are one chunk."""
    chunks: list[Chunk] = []
    questions: list[Question] = []
    n_sections, lengths = int(sections[-1]) + 1, [0] * N_DOCUMENTS
    for section in range(n_sections):
        place = section * N_DOCUMENTS // n_sections
        start, quotes = lengths[place], []
        for q in map(int, np.flatnonzero(sections == section)):
            questions.append(_question(q, subjects[q], right[q], start=lengths[place], section=section, doc=place))
            quotes.append(questions[-1].quote)
            lengths[place] += len(quotes[-1]) + 1
        text = " ".join(quotes)
        chunks.append(
            Chunk(
                chunk_id=f"c{section}",
                doc_id=f"d{place}",
                position=section,
                start=start,
                end=start + len(text),
                page_first=1,
                page_last=1,
                section=questions[-1].section,
                n_tokens=len(text.split()),
                text=text,
            )
        )
    documents = [
        Document(
            doc_id=f"d{k}", name=f"d{k}.pdf", title="", status="read", reason=None, n_pages=1, n_chars=length
        )
        for k, length in enumerate(lengths)
    ]  # fmt: skip
    return tuple(documents), tuple(chunks), tuple(questions)


def _question(q: int, subject: str, right: Sequence[str], *, start: int, section: int, doc: int) -> Question:
    builder, year, metres = right
    sentence = SAYS.format(*right, subject=subject)
    return Question(
        question_id=f"q{q}",
        split="test",
        question=f"Who built the {subject} weir, when was it opened and how long is it?",
        reference=sentence,
        key_facts=((builder,), (year,), (f"{metres} metres", f"{metres} m")),
        doc_id=f"d{doc}",
        document=f"d{doc}.pdf",
        page=1,
        start=start,
        end=start + len(sentence),
        quote=sentence,
        section=(f"River {section}",),
        reference_source="person",
        stratum="document tuned",
    )


def draw_stated(case: Case, sections: NDArray[np.intp], *, seed: int) -> NDArray[np.bool_]:
    """Which facts each arm states: bool [arm, question, fact], arms in the order of `ARMS`."""
    rng = np.random.default_rng([seed, *case.name.encode()])
    n, n_sections = len(sections), int(sections[-1]) + 1
    z = np.zeros((len(ARMS), n, N_FACTS))
    shapes = {"section": (n_sections, 1), "question": (n, 1), "fact": (n, N_FACTS)}
    for level, (shared, own) in SPREAD.items():
        part = np.sqrt(shared) * rng.standard_normal((1, *shapes[level]))
        part = part + np.sqrt(own) * rng.standard_normal((len(ARMS), *shapes[level]))
        z += part[:, sections] if level == "section" else part
    recalls = np.array([case.recall[arm] for arm in ARMS])
    stated: NDArray[np.bool_] = z < ndtri(recalls)[:, None, None]
    return stated


def record_answers(case: Case, corpus: Corpus, *, seed: int) -> list[Answer]:
    """The four arms' answers: a fact that is not stated is answered with a wrong value."""
    stated = draw_stated(case, corpus.sections, seed=seed)
    answers = []
    for arm, of_arm in zip(ARMS, stated.tolist(), strict=True):
        says = SAYS_FROM_PASSAGES if "rag" in arm else SAYS
        for q, (question, known) in enumerate(zip(corpus.questions, of_arm, strict=True)):
            values = [corpus.right[q][k] if known[k] else corpus.wrong[q][k] for k in range(N_FACTS)]
            text = says.format(*values, subject=corpus.subjects[q]) if any(known) else KNOWS_NOTHING
            answers.append(
                Answer(
                    arm=arm,
                    tuning_seed=0 if "tuned" in arm else None,
                    question_id=question.question_id,
                    text=text,
                    failure=None,
                    n_prompt_tokens=PROMPT_TOKENS[arm],
                    n_answer_tokens=len(text.split()),
                    mean_logprob=-0.5,
                    finish_reason="stop",
                    chunk_ids=(f"c{corpus.sections[q]}",) if "rag" in arm else (),
                    example_ids=(),
                    generation=None,
                )
            )
    return answers


def verdict_of(case: Case, corpus: Corpus, *, seed: int, margin: float) -> Verdict:
    """Recorded answers → scores → verdict, without the report's other statistics (`report_of` has them)."""
    answers = record_answers(case, corpus, seed=seed)
    scores: dict[str, dict[str, float | None]] = {arm: {} for arm in ARMS}
    for score in score_answers(answers, corpus.questions, (PRIMARY,)):
        if score.metric == PRIMARY:
            scores[score.arm][score.question_id] = score.value
    _, names = choose_clusters([q.doc_id for q in corpus.questions], [q.section[0] for q in corpus.questions])
    clusters = {question.question_id: name for question, name in zip(corpus.questions, names, strict=True)}
    costs = {
        arm: fmean(answer.n_prompt_tokens + answer.n_answer_tokens for answer in answers if answer.arm == arm)
        for arm in ARMS
    }
    arms = [ArmResults(arm=arm, scores=scores[arm], mean_cost=costs[arm]) for arm in ARMS]
    return decide(arms, clusters, margin=margin)


def report_of(case: Case, corpus: Corpus, *, seed: int, margin: float) -> Report:
    """The whole path, from recorded answers to the report."""
    study = StudySettings(
        name="planted",
        corpus=CorpusSettings(folder=Path("pdfs")),
        answer=AnswerSettings(arms=ARMS),
        score=ScoreSettings(metrics=(PRIMARY,)),
        verdict=VerdictSettings(primary=PRIMARY, margin=margin),
    )
    answers = record_answers(case, corpus, seed=seed)
    reading: list[Arm] = [arm for arm in ARMS if "rag" in arm]
    retrieved = [
        Retrieved(
            question_id=question.question_id, rank=1, chunk_id=f"c{section}", score=1.0, dense_rank=1, bm25_rank=1
        )
        for question, section in zip(corpus.questions, corpus.sections, strict=True)
    ]
    rows = Rows(
        documents=corpus.documents,
        questions=corpus.questions,
        leaked=(),
        chunks=corpus.chunks,
        answers=answers,
        scores=[
            *score_answers(answers, corpus.questions, (PRIMARY,)),
            *score_retrieved(reading, retrieved, corpus.questions, corpus.chunks, k=study.retrieval.k),
        ],
        stages=(),
    )
    return build_report(study, rows, base="none: answers invented", frozen_rule_kept=True)
