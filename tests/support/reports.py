"""Reports for tests: real ones, built from a table of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.questions import make_question

from fourfold.evals.report.build import Rows, build_report
from fourfold.evals.report.data import ArmSummary, Report, StageShown
from fourfold.study import AnswerSettings, CorpusSettings, ScoreSettings, StudySettings, VerdictSettings
from fourfold.types import Answer, Arm, Chunk, Document, LeakedPair, Question, Score

# Per arm: the primary metric of each question, None for a failed item; the last are on the unseen document.
Table = Mapping[Arm, Sequence[float | None]]

PROMPT_TOKENS: Mapping[Arm, int] = {"base": 10, "rag": 100, "tuned": 20, "tuned + rag": 110}
RETRIEVAL = {"recall@3": 1.0, "mrr@3": 0.5, "ndcg@3": 0.25}
SMALL: Table = {
    "base": [1, 0, None, 0, 1],
    "rag": [1, 1, 1, 0, 0],
    "tuned": [0, 0, 0, 1, 0],
    "tuned + rag": [1, 1, 1, 1, 0],
}


def make_rows(table: Table, questions: Sequence[Question], say: Mapping[str, str]) -> Rows:
    """Rows as a study stores them: token_f1 is half the primary metric, a score of 0 counts as a refusal."""
    answers, scores = [], []
    for arm, values in table.items():
        seed = 0 if arm.startswith("tuned") else None
        for place, (question, value) in enumerate(zip(questions, values, strict=True)):
            failed = value is None
            answers.append(
                Answer(
                    arm=arm,
                    tuning_seed=seed,
                    question_id=question.question_id,
                    text=None if failed else say.get("answer", f"{arm} says {place}"),
                    failure=say.get("failure", "prompt too long") if failed else None,
                    n_prompt_tokens=0 if failed else PROMPT_TOKENS[arm],
                    n_answer_tokens=0 if failed else place + 1,
                    mean_logprob=None if failed else -0.5 * (place + 1),
                    finish_reason=None if failed else "length" if place in {0, 4} else "stop",
                    chunk_ids=("c0", "c1", "c2") if "rag" in arm else (),
                    example_ids=(),
                    generation=None if failed else f"g{place}",
                )
            )
            measured: dict[str, float | None] = {
                "key_fact_recall": value,
                "token_f1": None if value is None else value / 2,
                "refusal": None if value is None else float(value == 0),
            }
            if "rag" in arm:
                # The third question retrieves nothing of its gold.
                measured |= {name: 0.0 if place == 2 else found for name, found in RETRIEVAL.items()}
            scores += [
                Score(
                    arm=arm,
                    tuning_seed=seed,
                    question_id=question.question_id,
                    metric=name,
                    value=score,
                    reason=None,
                )
                for name, score in measured.items()
            ]
    return Rows(
        documents=[
            document("d1", say.get("document", "pump.pdf")),
            document("d2", "new.pdf"),
            document("d3", "broken.pdf", reason=say.get("reason", "not a PDF")),
        ],
        questions=questions,
        leaked=[
            LeakedPair(
                tuning_question=say.get("tuning question", "What?"),
                tuning_reference="that",
                test_question_id="q0",
                test_question="What, then?",
                jaccard=0.9,
                cosine=0.5,
            )
        ],
        chunks=[
            chunk("c0", "d1", 0, 6, say.get("chunk", "first")),
            chunk("c1", "d2", 0, 10, "other document"),
            chunk("c2", "d1", 10, 20, "beside"),
        ],
        answers=answers,
        scores=scores,
        stages=[
            StageShown(
                name="ingest",
                key="f" * 64,
                seconds=1.25,
                created_at="2026-11-24T12:00:00Z",
                summary={"told": say.get("summary", "3 files"), "content": {"n": 1}},
                provenance={"commit": None, "packages": {"numpy": "2.0"}},
            )
        ],
    )


def document(doc_id: str, name: str, *, reason: str | None = None) -> Document:
    return Document(
        doc_id=doc_id,
        name=name,
        title="",
        status="unread" if reason else "read",
        reason=reason,
        n_pages=2,
        n_chars=20,
    )


def chunk(chunk_id: str, doc_id: str, start: int, end: int, text: str) -> Chunk:
    return Chunk(
        chunk_id=chunk_id, doc_id=doc_id, position=0, start=start, end=end, page_first=1, page_last=2,
        section=("Pumps", "Oil"), n_tokens=3, text=text,
    )  # fmt: skip


def make_questions(n: int, *, n_unseen: int = 0, say: Mapping[str, str] | None = None) -> list[Question]:
    """Each in a section of its own; the first was asked in tuning, the last `n_unseen` are on another document."""
    say = say or {}
    questions = []
    for place in range(n):
        unseen = place >= n - n_unseen
        fields: dict[str, Any] = {
            "split": "test",
            "reference_source": "person",
            "question": say.get("question", f"What is {place}?"),
            "reference": say.get("reference", "it runs"),
            "key_facts": ((say.get("key fact", "runs"), "turns"),),
            "quote": say.get("quote", "the quote"),
            "doc_id": "d2" if unseen else "d1",
            "document": "new.pdf" if unseen else say.get("document", "pump.pdf"),
            "section": (say.get("section", "Pumps"), f"Part {place}"),
            "stratum": "document unseen" if unseen else "fact asked" if place == 0 else "document tuned",
            "kind": "number" if place < 2 else "",
        }
        questions.append(make_question(f"q{place}", **fields))
    return questions


def make_report(
    table: Table,
    *,
    n_unseen: int = 0,
    questions: Sequence[Question] | None = None,
    say: Mapping[str, str] | None = None,
    frozen_rule_kept: bool = True,
    verdict: VerdictSettings | None = None,
) -> Report:
    n = len(next(iter(table.values())))
    questions = questions or make_questions(n, n_unseen=n_unseen, say=say)
    study = StudySettings(
        name="small",
        corpus=CorpusSettings(folder=Path("pdfs")),
        answer=AnswerSettings(arms=tuple(table)),
        score=ScoreSettings(metrics=("token_f1", "key_fact_recall")),
        verdict=verdict or VerdictSettings(),
    )
    say = say or {}
    return build_report(
        study,
        make_rows(table, questions, say),
        base=say.get("base", "tiny, resident in float32"),
        frozen_rule_kept=frozen_rule_kept,
    )


def arm_of(report: Report, name: str) -> ArmSummary:
    return next(arm for arm in report.arms if arm.arm == name)
