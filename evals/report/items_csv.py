"""Every answer as one row of a CSV: what a spreadsheet or a notebook wants to look at."""

from __future__ import annotations

import csv
import io

from fourfold.evals.report.data import Report


def render_items(report: Report) -> str:
    """One row per question, arm and tuning seed, with every score; an undefined score is empty.

    `generation` and the stages' keys in report.json lead to the rows in store.db.
    """
    metrics = sorted({name for question in report.questions for answer in question.answers for name in answer.scores})
    head = [
        "question_id", "question", "reference", "document", "page", "section", "stratum", "type", "arm", "tuning_seed",
        "answer", "failure", "n_prompt_tokens", "n_answer_tokens", "mean_logprob", "generation", *metrics,
    ]  # fmt: skip
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(head)
    for question in report.questions:
        for answer in question.answers:
            rows.writerow([
                question.question_id, question.question, question.reference, question.document, question.page,
                question.section, question.stratum, question.kind, answer.arm, answer.tuning_seed, answer.text,
                answer.failure, answer.n_prompt_tokens, answer.n_answer_tokens, answer.mean_logprob,
                answer.generation, *(answer.scores.get(metric) for metric in metrics),
            ])  # fmt: skip
    return text.getvalue()
