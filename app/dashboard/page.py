"""The page, as Streamlit runs it: `streamlit run page.py -- RUNS`.

What a PDF, a question or a model says is data: it is shown as text, never as Markdown.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from fourfold.app.dashboard.charts import arms_chart, differences_chart, words
from fourfold.app.dashboard.items import OUTCOMES, Filters, Outcome, choose, outcome_of
from fourfold.app.dashboard.pictures import draw_pages
from fourfold.app.dashboard.results import newest_runs, read_run
from fourfold.errors import FourfoldError
from fourfold.evals.estimate import PValue
from fourfold.evals.report.data import AnswerShown, ContextShown, QuestionShown, Report
from fourfold.evals.report.sentence import format_estimate

_SPECIAL = re.compile(r"([\\`*_\[\]<>#$~:|&])")
_COLOURS: Mapping[Outcome, str] = {"right": "blue", "not right": "orange", "failed": "gray"}


def show(runs: Path) -> None:
    """Draw the whole page for a working folder."""
    st.set_page_config(page_title="fourfold", layout="wide")
    try:
        found = newest_runs(runs)
        chosen = st.sidebar.selectbox("Study", found, format_func=lambda run: run.study)
        st.sidebar.caption(plain(f"finished {chosen.finished_at[:16].replace('T', ' ')} UTC"))
        st.sidebar.caption(plain(f"from {runs / 'store.db'}"))
        report = _report(runs, chosen.run, chosen.finished_at)
    except FourfoldError as error:
        st.error(plain(error.what[:1].upper() + error.what[1:] + "."))
        st.text(f"seen:     {error.seen}\nexpected: {error.expected}\ndo next:  {error.hint}")
        return
    _verdict(report)
    metrics = list(report.arms[0].metrics)
    metric = st.selectbox("Metric", metrics, index=metrics.index(report.primary), format_func=words, width=300)
    _arms(report, metric)
    _differences(report, metric)
    _questions(report, runs, chosen.run)


def plain(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return _SPECIAL.sub(r"\\\1", text)


@st.cache_resource(max_entries=4, show_spinner="Reading the store …")
def _report(runs: Path, run: int, finished_at: str) -> Report:  # noqa: ARG001 (tells a new store from an old one)
    return read_run(runs, run)


def _verdict(report: Report) -> None:
    st.caption(plain(f"fourfold · study {report.study}"))
    answer, _, figures = report.sentence.partition(". ")
    st.markdown(f"#### {plain(answer.removesuffix('.'))}.")
    st.markdown(plain(figures))
    st.markdown("\n".join(f"- {plain(caveat)}" for caveat in report.caveats))
    transfer = f", and {report.n_transfer} on documents not tuned on" if report.n_transfer else ""
    st.caption(
        plain(
            f"{report.n_questions} test questions{transfer}. Every arm answers on {report.base}. "
            f"95% intervals: cluster-robust t by {report.cluster_kind}. "
            f"Margin {report.verdict.margin:g} on {words(report.primary)}."
        )
    )


def _arms(report: Report, metric: str) -> None:
    st.subheader("Arms")
    st.vega_lite_chart(
        spec=arms_chart(report.arms, metric), theme=None, width="stretch", alt=f"{words(metric)} of every arm"
    )
    any_failed = any(arm.n_failed for arm in report.arms)
    rows = [
        {
            "arm": arm.arm,
            **{words(name): format_estimate(estimate) for name, estimate in arm.metrics.items()},
            **(
                {f"{words(metric)}, failed as wrong": format_estimate(arm.failed_as_wrong[metric])}
                if any_failed
                else {}
            ),
            "refusals": _share(arm.refusals.value),
            "failed": str(arm.n_failed),
            "tokens in + out": f"{_number(arm.prompt_tokens)} + {_number(arm.answer_tokens)}",
        }
        for arm in report.arms
    ]
    _table(rows)


def _differences(report: Report, metric: str) -> None:
    st.subheader("Paired differences")
    differences = [d for d in (*report.differences, *report.explained) if d.metric == metric]
    if not differences:
        st.caption("One arm only: nothing to compare.")
        return
    st.caption(plain("Per question, the first arm minus the second. Dashed: the verdict's margin."))
    st.vega_lite_chart(
        spec=differences_chart(differences, metric, margin=report.verdict.margin),
        theme=None, width="stretch", alt=f"paired differences in {words(metric)}",
    )  # fmt: skip
    _table(
        [
            {
                "arms": f"{d.a} − {d.b}",
                "difference": format_estimate(d.paired.difference, signed=True),
                "sign-flip p": _p(d.paired.sign_flip),
                "pairs": str(d.paired.n),
            }
            for d in differences
        ]
    )


def _questions(report: Report, runs: Path, run: int) -> None:
    st.subheader("Questions")
    filters = _filters(report)
    chosen = choose(report.questions, filters, report.primary)
    st.caption(f"{len(chosen)} of {len(report.questions)} questions")
    if not chosen:
        st.info("No question fits these filters.")
        return
    by_id = {question.question_id: question for question in chosen}
    question = by_id[st.selectbox("Question", by_id, format_func=lambda name: f"{name} · {by_id[name].question}")]
    _question(question)
    if question.quote and st.toggle("Show it on its page", key=f"page of {question.question_id}"):
        _pages(runs, run, question)
    arms = list(dict.fromkeys(answer.arm for answer in question.answers))
    width = 2 if len(arms) in {1, 2, 4} else 3
    for start in range(0, len(arms), width):
        for place, arm in zip(st.columns(width), arms[start : start + width], strict=False):
            with place.container(border=True):
                _answers([a for a in question.answers if a.arm == arm], report.primary)
    if question.contexts:
        st.markdown("**Retrieved contexts**")
    for context in question.contexts:
        _context(context)


def _filters(report: Report) -> Filters:
    arm, outcome, stratum, document = st.columns(4)
    return Filters(
        arm=arm.selectbox("Arm", [shown.arm for shown in report.arms]),
        outcome=outcome.selectbox(
            "Its answer", OUTCOMES, index=None, placeholder="anything",
            help=f"right: a score of 1 on {words(report.primary)} with every tuning seed",
        ),
        stratum=stratum.selectbox(
            "Stratum", sorted({q.stratum for q in report.questions}), index=None, placeholder="all"
        ),
        document=document.selectbox(
            "Document", sorted({q.document for q in report.questions}), index=None, placeholder="all"
        ),
    )  # fmt: skip


def _question(question: QuestionShown) -> None:
    st.markdown("**Question**")
    st.text(question.question)
    reference, quote = st.columns(2)
    with reference:
        st.markdown("**Reference**")
        st.text(question.reference)
        if question.key_facts:
            st.caption("key facts")
            st.text("\n".join(" / ".join(fact) for fact in question.key_facts))
    with quote:
        st.markdown("**Quote that supports it**")
        st.text(question.quote)
        st.caption(plain(f"{question.document}, page {question.page} · {question.section} · {question.stratum}"))


def _pages(runs: Path, run: int, question: QuestionShown) -> None:
    try:
        with st.spinner("Drawing the page …"):
            pictures = draw_pages(runs, run, question.question_id)
    except FourfoldError as error:
        st.info(plain(f"{error.what}: {error.seen}"))
        return
    for picture in pictures:
        st.image(picture.png, caption=plain(f"{question.document}, page {picture.page}"), width=700)


def _answers(answers: Sequence[AnswerShown], primary: str) -> None:
    """One arm's answers: one, or one for each tuning seed."""
    outcome = outcome_of(answers, primary)
    st.markdown(f"**{plain(answers[0].arm)}**")
    st.badge(outcome, color=_COLOURS[outcome])  # type: ignore[arg-type]
    for answer in answers:
        if len(answers) > 1:
            st.caption(f"tuning seed {answer.tuning_seed}")
        st.text(f"failed: {answer.failure}" if answer.text is None else answer.text)
        if answer.text is not None and not answer.text.strip():
            st.caption("an empty answer")
        scores = " · ".join(
            f"{words(name)} {'–' if value is None else f'{value:.2f}'}" for name, value in answer.scores.items()
        )
        st.caption(plain(scores))
        st.caption(f"tokens {answer.n_prompt_tokens} + {answer.n_answer_tokens}")


def _context(context: ContextShown) -> None:
    pages = f"page {context.page_first}" + (f"–{context.page_last}" if context.page_last != context.page_first else "")
    gold = f" · holds {context.holds_gold:.0%} of the quote" if context.holds_gold > 0 else ""
    with st.expander(plain(f"{context.rank}. {context.document}, {pages} · {context.section}{gold}")):
        st.text(context.text)


def _table(rows: Sequence[Mapping[str, str]]) -> None:
    """A table whose cells, which Streamlit takes for Markdown, are shown as they stand."""
    st.table([{plain(name): plain(cell) for name, cell in row.items()} for row in rows], hide_index=True)


def _p(test: PValue) -> str:
    if test.value is None:
        return f"– ({test.reason})"
    return "< 0.001" if test.value < 0.001 else f"{test.value:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


if __name__ == "__main__":
    show(Path(sys.argv[1]))
