"""A finished study's questions: out on a sheet for review, and out in other tools' forms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.pipeline import missing_stages
from fourfold.app.progress import Reporter
from fourfold.app.run import lock, write_files
from fourfold.app.stages import STAGES
from fourfold.errors import QuestionError, StoreError
from fourfold.ingest.export import Origin, chat_lines, data_card, squad_json
from fourfold.ingest.filter_log import FilterCount
from fourfold.ingest.question_metrics import measure_questions
from fourfold.ingest.review import has_verdicts, write_sheet
from fourfold.store import Store
from fourfold.study import StudySettings
from fourfold.types import Question, Split

_SPLITS: tuple[Split, ...] = ("tuning", "validation", "test")


def write_review(
    study: StudySettings, runs: Path, *, cache: Path, reporter: Reporter, out: Path | None
) -> tuple[Path, int]:
    """Write the sheet of the study's generated questions.

    Args:
        study: whose questions stage was carried out.
        runs: the working folder.
        cache: folder for converted weights.
        reporter: told of files that are gone.
        out: the sheet; None: review.csv in the study's results folder.

    Returns:
        The sheet, and how many questions stand on it.

    Raises:
        StoreError: the questions stage was not carried out with these settings.
        QuestionError: no question was generated, or the sheet is there and has verdicts.
    """
    sheet = out or runs / study.name / "review.csv"
    with _opened(study, runs, cache, reporter) as context:
        questions = [q for split in reversed(_SPLITS) for q in context.questions(split)]
    # The sheet leaves out what has no quote to review.
    n_rows = sum(q.reference_source != "person" and q.answerable is not False for q in questions)
    if n_rows == 0:
        raise QuestionError(
            "there is nothing to review",
            seen="every question is a person's already",
            expected="generated questions",
            hint="carry the study out as it is",
        )
    if has_verdicts(sheet):
        raise QuestionError(
            "the sheet has verdicts already, and would be written over",
            seen=sheet,
            expected="a new file",
            hint="name this one in questions.reviewed, or another with --out",
        )
    # With a byte order mark, without which Excel takes UTF-8 for something else.
    write_files(sheet.parent, {sheet.name: "\ufeff" + write_sheet(questions)})
    return sheet, n_rows


def write_export(
    study: StudySettings, runs: Path, *, cache: Path, reporter: Reporter, out: Path | None, licence: str | None
) -> Path:
    """Write per split SPLIT.chat.jsonl and SPLIT.squad.json, and README.md as the data card; see `write_review`.

    Returns:
        The folder; None as `out` is export in the study's results folder.
    """
    with _opened(study, runs, cache, reporter) as context:
        result = context.results["questions"]
        documents, blocks = context.documents, context.blocks
        splits = {split: context.questions(split) for split in _SPLITS}
        served = study.model.endpoint
        name = context.weights.name if served is None else served.model
    splits = {split: questions for split, questions in splits.items() if questions}
    n_sections = len({(block.doc_id, block.section) for block in blocks})
    files: dict[str, str | bytes] = {}
    for split, questions in splits.items():
        files[f"{split}.chat.jsonl"] = chat_lines(questions, study.answer.instructions)
        files[f"{split}.squad.json"] = squad_json(questions, blocks)
    every: list[Question] = [question for questions in splits.values() for question in questions]
    files["README.md"] = data_card(
        every,
        documents,
        Origin(
            study=study.name,
            generator=study.questions.generator,
            model=name if study.questions.generator == "llm" else "no model",
            made_by={"fourfold": result.provenance["fourfold"], "commit": result.provenance["commit"] or "unknown"},
            licence=licence,
        ),
        filters=[
            FilterCount(
                name=f"{made}: {count['name']}",
                n_seen=count["n_seen"],
                n_dropped=count["n_dropped"],
                examples=tuple(count["examples"]),
            )
            for made, counts in result.summary["filters"].items()
            for count in counts
        ],
        metrics={split: measure_questions(own, n_sections=n_sections) for split, own in splits.items()},
    )
    return write_files(out or runs / study.name / "export", files)


@contextmanager
def _opened(study: StudySettings, runs: Path, cache: Path, reporter: Reporter) -> Iterator[Context]:
    """A study whose questions are there; nothing is carried out."""
    with Store.open(runs) as store, lock(runs):
        context = Context(study=study, store=store, reporter=reporter, cache=cache)
        upto = [stage.name for stage in STAGES].index("questions")
        missing = missing_stages(context, STAGES[: upto + 1])
        if missing:
            raise StoreError(
                "the study has no questions yet",
                seen=f"not carried out with these settings: {', '.join(missing)}",
                expected="the results of ingest and questions in the working folder",
                hint="carry it out up to there first: fourfold questions STUDY",
            )
        yield context
