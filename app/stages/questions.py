"""questions: test questions from the file, the reviewed sheet or cloze; tuning questions over every document."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.outside import outside_inputs, unanswerable_questions
from fourfold.digest import digest_of_file, digest_of_folder
from fourfold.errors import QuestionError
from fourfold.ingest.cloze import ClozeGenerator
from fourfold.ingest.dates import read_dates
from fourfold.ingest.generate import Generated, GenerationSettings
from fourfold.ingest.generators import FileGenerator, Generator, LlmGenerator, any_of, overlapping
from fourfold.ingest.holdout import choose_holdout
from fourfold.ingest.leakage import find_nearest, leakage_table, require_few_leaks
from fourfold.ingest.passwords import take_passwords
from fourfold.ingest.question_metrics import measure_questions
from fourfold.ingest.questions_file import require_file
from fourfold.ingest.review import Reviewed, read_sheet
from fourfold.ingest.strata import assign_strata
from fourfold.ingest.tags import Sections, tag_sections
from fourfold.ingest.writing_prompts import read_prompts
from fourfold.llm.port import Chat, Completion
from fourfold.study import QuestionSettings
from fourfold.types import Block, Document, LeakedPair, Question

# In the stage's own folder: every tuning question with the test question nearest to it.
LEAKAGE = "leakage.csv"
# Over what is wanted, so that what the leak check takes out is made up for.
_SPARE_SHARE = 0.05
# Test questions that cloze makes take at most half of a document's sentences: tuning must cover it too.
_TEST_SHARE = 0.5


def _settings(context: Context) -> dict[str, Any]:
    settings = context.study.questions.model_dump(mode="json", exclude={"file", "reviewed", "prompts", "outside"})
    # Cloze needs no model: its questions are the same for every student.
    writer = context.model_identity if context.study.questions.generator == "llm" else None
    return {**settings, "model": writer, "embedder": context.embedder_identity}


def _inputs(context: Context) -> dict[str, str]:
    settings = context.study.questions
    inputs = {"ingest": context.results["ingest"].digest, **outside_inputs(context)}
    if settings.file is not None:
        inputs["file"] = digest_of_file(require_file(settings.file))
    if settings.reviewed is not None:
        # One that is not there is told by the stage itself; it must not be taken for none.
        inputs["reviewed"] = digest_of_file(settings.reviewed) if settings.reviewed.is_file() else "missing"
    if settings.prompts is not None:
        inputs["prompts"] = digest_of_folder(settings.prompts)
    return inputs


def _run(context: Context, folder: Path | None) -> Outcome:
    settings = context.study.questions
    documents, blocks = context.documents, context.blocks
    # First, because it costs nothing: a bad quote must not cost a generation.
    tags = tag_sections(blocks, settings.tags)
    reviewed = read_sheet(settings.reviewed, documents, blocks)
    test = _test(context, documents, blocks, reviewed, tags)
    tuned = _tuning(context, documents, blocks, reviewed, test=test.questions)
    # From sentences that nothing else is asked about: an adapter would have learnt to fill the very blank.
    unanswerable = unanswerable_questions(
        context, documents, blocks,
        n_answerable=len(test.questions), skip=overlapping([*test.questions, *tuned.questions]),
    )  # fmt: skip
    nearest = find_nearest(
        tuned.questions,
        [*test.questions, *unanswerable],
        lambda texts: context.embedder.embed(texts, kind="passage"),
        jaccard_limit=settings.jaccard_limit,
        cosine_limit=settings.cosine_limit,
    )
    assert folder is not None
    (folder / LEAKAGE).write_text(leakage_table(nearest), encoding="utf-8")
    leaks = [one.pair for one in nearest if one.leaks]
    require_few_leaks(leaks, len(tuned.questions), limit=settings.leak_limit)
    tuning, validation = _split(tuned.questions, leaks, reviewed, settings)
    strata = assign_strata(test.questions, tuning)
    splits = _Splits(test=strata, tuning=_tagged(tuning, tags), validation=_tagged(validation, tags))
    return Outcome(
        records=[*splits.test, *unanswerable, *splits.tuning, *splits.validation, *leaks],
        content={},
        summary={
            **_summary(splits, leaks, test, tuned, n_sections=len({(b.doc_id, b.section) for b in blocks})),
            "n_unanswerable": len(unanswerable),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Splits:
    """What the documents answer; measured and counted apart from unanswerable questions."""

    test: Sequence[Question]
    tuning: Sequence[Question]
    validation: Sequence[Question]


def _test(
    context: Context, documents: Sequence[Document], blocks: Sequence[Block], reviewed: Reviewed, tags: Sections
) -> Generated:
    """The file's, and those of a reviewed sheet; by cloze where there are neither. No model of any arm has a say."""
    settings = context.study.questions
    kept = tuple(question for question in reviewed.questions if question.split == "test")
    if settings.file is not None:
        found = FileGenerator(path=settings.file, subset=settings.subset).generate(documents, blocks)
        made = dataclasses.replace(found, questions=(*found.questions, *kept))
    elif kept:
        made = Generated(questions=kept, refused={}, n_tried=0)
    else:
        # Another seed than the tuning questions'; and it is drawn first, so that they have no influence on it.
        generator = ClozeGenerator(seed=settings.seed + 1, split="test", max_share=_TEST_SHARE)
        made = generator.generate(documents, blocks, n_wanted=settings.n_test, skip=overlapping(reviewed.dropped))
    return dataclasses.replace(made, questions=_tagged(require_questions(made.questions), tags))


def _tuning(
    context: Context,
    documents: Sequence[Document],
    blocks: Sequence[Block],
    reviewed: Reviewed,
    *,
    test: Sequence[Question],
) -> Generated:
    """What was reviewed, and as many new ones as are then missing, with some to spare."""
    settings = context.study.questions
    kept = tuple(question for question in reviewed.questions if question.split != "test")
    held = choose_holdout(documents, blocks, settings.holdout, seed=settings.seed, dates=_dates(context, documents))
    # Rule 2: a fact asked in both in different words stays. Cloze over a sentence that cloze tests is no other words.
    repeated = [q for q in test if q.kind.startswith("cloze")] if settings.generator == "cloze" else []
    skip = any_of(held.skips, overlapping([*kept, *reviewed.dropped, *repeated]))
    n_wanted = settings.n_tuning + settings.n_validation
    covered = frozenset(question.doc_id for question in kept if question.split == "tuning")
    made = tuning_generator(context, blocks, covered=covered).generate(
        [document for document in documents if document.doc_id not in held.doc_ids],
        blocks,
        n_wanted=max(1, n_wanted + max(2, round(_SPARE_SHARE * n_wanted)) - len(kept)),
        skip=skip,
    )
    return dataclasses.replace(made, questions=(*kept, *made.questions))


def _dates(context: Context, documents: Sequence[Document]) -> dict[str, date | None]:
    """Of every document, where the study holds some out by date; those without one are told, because they stay."""
    settings, corpus = context.study.questions.holdout, context.study.corpus
    if settings is None or settings.since is None:
        return {}
    dates = read_dates(corpus.folder, documents, take_passwords(corpus.passwords, os.environ))
    undated = [document.name for document in documents if dates.get(document.doc_id, settings.since) is None]
    if undated:
        context.reporter.say(f"  not held out, without a date: {', '.join(undated)}")
    return dates


def tuning_generator(context: Context, blocks: Sequence[Block], *, covered: frozenset[str] = frozenset()) -> Generator:
    """Who writes this study's tuning questions, and how; also for another corpus.

    Args:
        context: the study.
        blocks: of the corpus that is asked about, for its sections' tags.
        covered: ids of documents that have questions already.
    """
    settings = context.study.questions
    tags = tag_sections(blocks, settings.tags)
    if settings.generator == "cloze":
        return ClozeGenerator(seed=settings.seed, tags=tags, covered=covered)
    return LlmGenerator(
        write=lambda chats, max_tokens: write_texts(context, chats, max_tokens),
        settings=dataclasses.replace(generation_settings(context), tags=tags, covered=covered),
    )


def generation_settings(context: Context) -> GenerationSettings:
    """How the study has questions written."""
    settings = context.study.questions
    return GenerationSettings(
        seed=settings.seed,
        candidates_per_question=settings.candidates_per_question,
        max_question_tokens=settings.max_question_tokens,
        max_reference_tokens=settings.max_reference_tokens,
        prompts=read_prompts(settings.prompts),
    )


def write_texts(context: Context, chats: Sequence[Chat], max_tokens: int) -> list[str | None]:
    """What the student writes; None for a prompt that it could not be given."""
    completions = context.generate(chats, max_tokens=max_tokens, label="writing")
    return [completion.text if isinstance(completion, Completion) else None for completion in completions]


def require_questions(test: Sequence[Question]) -> tuple[Question, ...]:
    """Some test questions, each with an id of its own.

    Raises:
        QuestionError: none, or an id twice.
    """
    names = [question.question_id for question in test]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise QuestionError(
            "the test questions cannot be used",
            seen=f"in the file and on the reviewed sheet: {', '.join(twice)}" if twice else "0 of them",
            expected="at least one test question, each with an id of its own",
            hint="rename them in questions.file"
            if twice
            else "write test questions and name their file in questions.file",
        )
    return tuple(test)


def _tagged(questions: Sequence[Question], tags: Sections) -> tuple[Question, ...]:
    """With the tags of their sections beside their own."""
    return tuple(
        dataclasses.replace(q, tags=tuple(dict.fromkeys((*q.tags, *tags.get((q.doc_id, q.section), ())))))
        for q in questions
    )


def _split(
    generated: Sequence[Question], leaks: Sequence[LeakedPair], reviewed: Reviewed, settings: QuestionSettings
) -> tuple[list[Question], list[Question]]:
    """One question of each document in turn, so that both splits cover them; tuning first: it must cover them all.

    A reviewed question stays in the split in which it was reviewed.
    """
    leaked = {(leak.tuning_question, leak.tuning_reference) for leak in leaks}
    left = [question for question in generated if (question.question, question.reference) not in leaked]
    on_sheet = {question.question_id for question in reviewed.questions}
    tuning, validation = (
        [question for question in left if question.question_id in on_sheet and question.split == split]
        for split in ("tuning", "validation")
    )
    by_document: dict[str, list[Question]] = {}
    for question in left:
        if question.question_id not in on_sheet:
            by_document.setdefault(question.doc_id, []).append(question)
    queues = list(by_document.values())
    # In proportion: document d's i-th question stands at (i + .5) / its number of questions.
    places = sorted((((i + 0.5) / len(queue), d, i) for d, queue in enumerate(queues) for i in range(len(queue))))
    covered = {question.doc_id for question in tuning}
    heads = [queue[0] for queue in queues if queue[0].doc_id not in covered]
    ordered = [*heads, *(queues[d][i] for _, d, i in places if i > 0 or queues[d][i].doc_id in covered)]
    n_new = max(settings.n_tuning - len(tuning), len(heads))
    n_validation = max(settings.n_validation - len(validation), 0)
    tuning += ordered[:n_new]
    validation += [dataclasses.replace(q, split="validation") for q in ordered[n_new : n_new + n_validation]]
    return tuning, validation


def _summary(
    splits: _Splits,
    leaks: Sequence[LeakedPair],
    test: Generated,
    tuned: Generated,
    *,
    n_sections: int,
) -> dict[str, Any]:
    strata: dict[str, int] = {}
    for question in splits.test:
        strata[str(question.stratum)] = strata.get(str(question.stratum), 0) + 1
    measures = {name: measure_questions(getattr(splits, name), n_sections=n_sections) for name in splits.__slots__}
    return {
        "n_test": len(splits.test),
        "n_test_not_reviewed": sum(question.reference_source != "person" for question in splits.test),
        "n_sections": len({(question.doc_id, question.section) for question in splits.test}),
        "n_tuning": len(splits.tuning),
        "n_validation": len(splits.validation),
        "n_leaked": len(leaks),
        "n_quotes_tried": tuned.n_tried,
        "n_generated": len(tuned.questions),
        "n_references_by_model": sum(question.reference_source == "model" for question in splits.tuning),
        "refused": dict(sorted(tuned.refused.items())),
        "filters": {
            name: [dataclasses.asdict(count) for count in made.filters]
            for name, made in (("test", test), ("tuning", tuned))
        },
        "measures": {name: dataclasses.asdict(measured) for name, measured in measures.items()},
        "strata": dict(sorted(strata.items())),
    }


def _describe(summary: Mapping[str, Any]) -> str:
    new, unanswerable = summary["n_test_not_reviewed"], summary["n_unanswerable"]
    return (
        f"{summary['n_test']} test questions over {summary['n_sections']} sections"
        + (f" ({new} generated, not reviewed)" if new else "")
        + (f" and {unanswerable} that nothing in the documents answers" if unanswerable else "")
        + f", {summary['n_tuning']} tuning questions ({summary['n_references_by_model']} answers by the model, the "
        f"rest from quotes), {summary['n_leaked']} taken out as repeats"
    )


STAGE = Stage(
    name="questions", version=3, settings=_settings, inputs=_inputs, run=_run, describe=_describe, blob="discard"
)
