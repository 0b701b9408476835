"""The checks of one adapter, each giving one row an item; what they measure is said in tuning/checks.

What belongs to the weights (agreement, forgetting, completion) runs on the model in this process; questions are asked
as every arm is.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fourfold.app.context import Context
from fourfold.app.stages.ingest import options_beside
from fourfold.app.stages.retrieved import NOTHING_FOUND, assembly_of
from fourfold.app.stages.training_set import Built
from fourfold.app.stages.tune import build_own_set
from fourfold.arms import PLAN, arms_of
from fourfold.digest import digest_of
from fourfold.errors import DocumentError
from fourfold.evals.metrics import key_fact_recall
from fourfold.evals.report.checks import CheckMetric
from fourfold.ingest.corpus import read_corpus
from fourfold.llm.port import Adapter, Chat, Completion, Prompt, Sampling
from fourfold.prompts import answer_chat, prompt_form
from fourfold.retrieval.context.passage import texts_of
from fourfold.tuning.checks.agreement import Answered, check_agreement
from fourfold.tuning.checks.counterfactual import read_counterfactual
from fourfold.tuning.checks.forgetting import answer_items, general_items, likelihood_of
from fourfold.tuning.checks.memorisation import completed_share, prefixes_of, reword
from fourfold.tuning.checks.prompts import PromptCheck, require_equal_prompts
from fourfold.tuning.checks.reliance import Edited, edit_passages, follows, recites
from fourfold.tuning.rows import Draft, Form, TuningRow, draft_rows, encode_rows
from fourfold.types import Answer, Arm, Question, Retrieved, Score

_PASSAGE_CHARACTERS = (200, 2_000)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """The test questions' prompts as tuning writes them; `asked` are the keys of what answered them."""

    rows: Sequence[TuningRow]
    drafts: Sequence[Draft]
    asked: Mapping[tuple[Form, str], str]


class AdapterChecks:
    """One adapter's checks, each giving its rows."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = context.study.checks
        self.seed, self.adapter = next(iter(context.adapters("mixture").items()))

    @functools.cached_property
    def built(self) -> Built:
        """The rows that the adapter was tuned on."""
        built, _ = build_own_set(self.context, "mixture", self.seed)
        return built

    @functools.cached_property
    def test(self) -> _Test:
        """The test questions' prompts, and what was asked."""
        context, study = self.context, self.context.study
        key = context.results["answer"].key
        questions = context.questions("test")
        arms = [plan for plan in arms_of(study) if plan.adapter == "mixture"]
        retrieves = any(plan.retrieves for plan in arms)
        pairs = [(question.question_id, question.question) for question in questions]
        passages = assembly_of(context).assemble(context.store.read(Retrieved, key), pairs)
        drafts = draft_rows(
            questions,
            texts_of(passages, if_none=NOTHING_FOUND),
            instructions=study.answer.instructions,
            form="mixture" if retrieves else "closed_book",
            prompt=prompt_form(study.answer),
        )
        forms: dict[str, Form] = {plan.name: "with contexts" if plan.retrieves else "without contexts" for plan in arms}
        asked = {
            (forms[answer.arm], answer.question_id): answer.generation
            for answer in context.store.read(Answer, key)
            if answer.arm in forms and answer.tuning_seed == self.seed and answer.generation is not None
        }
        return _Test(rows=encode_rows(context.student, drafts), drafts=drafts, asked=asked)

    def prompts(self) -> PromptCheck:
        """Prompt bytes; see `tuning.checks.prompts`."""
        limits = {"adapter": self.adapter.digest, "max_tokens": self.context.study.answer.max_tokens}
        identity = {**self.context.engine.identity, **limits}
        return require_equal_prompts(self.test.rows, self.test.asked, lambda ids: digest_of([identity, ids]))

    def agreement(self) -> list[Score]:
        """Merged weights and a 4-bit reload; see `tuning.checks.agreement`."""
        context = self.context
        pairs = [
            (row, draft)
            for row, draft in zip(self.test.rows, self.test.drafts, strict=True)
            if (row.form, row.question_id) in self.test.asked
        ][: self.settings.n_prompts]
        completions = self._complete([draft.chat for _, draft in pairs], self.adapter, "checks: as used")
        answered = [
            Answered(prompt_id=f"{row.question_id} {row.form}", prompt_ids=row.prompt_ids, answer_ids=done.token_ids)
            for (row, _), done in zip(pairs, completions, strict=True)
            if done is not None and done.token_ids
        ]
        found = check_agreement(answered, context.weights, context.study.model, self.adapter, device=context.device)
        return [
            self._row("tuned", one.prompt_id, metric, value, one.reason)
            for one in found
            for metric, value in (
                (f"identical tokens: {one.variant}", one.identical), (f"logit gap: {one.variant}", one.gap)
            )
        ]  # fmt: skip

    def general(self) -> list[Score]:
        """The project's multiple-choice items, with and without the adapter."""
        items = general_items()
        return [
            self._row(arm, item.id, "general knowledge", float(chosen == item.answer))
            for arm, adapter in self._both("base", "tuned")
            for item, chosen in zip(items, answer_items(self.context.student, items, adapter), strict=True)
        ]

    def other_text(self) -> tuple[list[Score], dict[str, float]]:
        """Nats a token on text that nobody tuned on, and the perplexity over all of its tokens by arm."""
        tokenizer = self.context.student.tokenizer
        first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        passages = _spread(_other_passages(self.context), self.settings.n_questions)
        rows: list[Score] = []
        perplexity: dict[str, float] = {}
        for arm, adapter in self._both("base", "tuned") if passages else ():
            found = likelihood_of(self.context.student, passages, first, adapter)
            rows += [self._row(arm, one.passage_id, "nats a token", one.nats) for one in found]
            n_tokens = sum(one.n_tokens for one in found)
            perplexity[arm] = math.exp(sum(one.nats * one.n_tokens for one in found) / n_tokens)
        return rows, perplexity

    def memorisation(self) -> list[Score]:
        """Tuning questions as they were and reworded, unseen ones, and references begun."""
        unseen = [q for q in self.context.questions("test") if q.stratum in {"passage tuned", "document tuned"}]
        trained = _spread(self.built.questions, self.settings.n_questions)
        asked: list[tuple[CheckMetric, Sequence[Question]]] = [
            ("recall: tuning question", trained),
            ("recall: reworded", [dataclasses.replace(q, question=reword(q.question)) for q in trained]),
            ("recall: unseen", _spread(unseen, self.settings.n_questions)),
        ]
        return [
            self._row(arm, question.question_id, metric, _recall(done, question), _why_not(done))
            for metric, questions in asked
            for arm, adapter in self._both("base", "tuned")
            for question, done in zip(
                questions, self._ask([(q.question, None) for q in questions], adapter, metric), strict=True
            )
        ] + self._completion({question.question_id for question in trained})

    def _completion(self, trained: set[str]) -> list[Score]:
        prefixes = [prefix for prefix in prefixes_of(self.built.data.rows) if prefix.question_id in trained]
        if not prefixes:
            return []
        prompts = [Prompt(token_ids=prefix.token_ids) for prefix in prefixes]
        sampling = Sampling(max_tokens=max(len(prefix.rest) for prefix in prefixes))
        return [
            self._row(arm, prefix.question_id, "completion", completed_share(done.token_ids or (), prefix.rest))
            for arm, adapter in self._both("base", "tuned")
            for prefix, done in zip(prefixes, self.context.student.complete(prompts, sampling, adapter), strict=True)
        ]

    def reliance(self) -> list[Score]:
        """Passages that contradict what was tuned on, and a user's counterfactual file."""
        own = edit_passages(self.built.questions, self.context.chunks, seed=self.seed)
        file = self.settings.counterfactual
        sets: list[tuple[str, Sequence[Edited]]] = [("edited", _spread(own, self.settings.n_questions))]
        sets += [("given", read_counterfactual(file))] if file is not None else []
        rows = []
        for name, items in sets:
            for arm, adapter in self._both("rag", "tuned + rag"):
                answers = self._ask([(one.question, one.passages) for one in items], adapter, f"{name} passages")
                for one, done in zip(items, answers, strict=True):
                    for metric, met in (("follows", follows), ("recites", recites)):
                        value = None if done is None else float(met(done.text, one))
                        rows.append(self._row(arm, one.question_id, f"{metric}: {name}", value, _why_not(done)))
        return rows

    def _both(self, without: Arm, tuned: Arm) -> tuple[tuple[Arm, Adapter | None], ...]:
        return (without, None), (tuned, self.adapter)

    def _ask(
        self, asked: Sequence[tuple[str, Sequence[str] | None]], adapter: Adapter | None, label: str
    ) -> list[Completion | None]:
        settings = self.context.study.answer
        chats = [
            answer_chat(settings.instructions, question, contexts, form=prompt_form(settings))
            for question, contexts in asked
        ]
        return self._complete(chats, adapter, f"checks: {label}")

    def _complete(self, chats: Sequence[Chat], adapter: Adapter | None, label: str) -> list[Completion | None]:
        found = self.context.generate(
            chats, max_tokens=self.context.study.answer.max_tokens, label=label, adapter=adapter
        )
        return [one if isinstance(one, Completion) else None for one in found]

    def _row(self, arm: Arm, item: str, metric: str, value: float | None, reason: str | None = None) -> Score:
        seed = self.seed if PLAN[arm].adapter else None
        return Score(arm=arm, tuning_seed=seed, question_id=item, metric=metric, value=value, reason=reason)


def _recall(done: Completion | None, question: Question) -> float | None:
    return None if done is None else key_fact_recall(done.text, question)


def _why_not(done: Completion | None) -> str | None:
    return "the prompt was refused" if done is None else None


def _spread(items: Sequence[Item], n: int) -> list[Item]:
    """At most n, evenly over their order, so that every document has its share."""
    n = min(n, len(items))
    return [items[at * len(items) // n] for at in range(n)]


def _other_passages(context: Context) -> list[tuple[str, str]]:
    """Id and text of passages that no adapter of the study's own corpus has seen; none where there is no such text."""
    least, most = _PASSAGE_CHARACTERS
    file, control = context.study.checks.text, context.study.tuning.control
    if file is not None:
        try:
            texts: Iterable[str] = file.read_text(encoding="utf-8").split("\n\n")
        except (OSError, UnicodeDecodeError) as error:
            raise DocumentError(
                "the text for perplexity cannot be read",
                seen=f"{file}: {error}",
                expected="a text file in UTF-8, a blank line between paragraphs",
                hint="correct checks.text",
            ) from None
    elif control is not None:
        corpus = read_corpus(control, options=options_beside(context.study.corpus, os.environ))
        texts = (block.text for block in corpus.blocks if block.kind == "text")
    else:
        return []
    return [(f"passage {at}", text[:most]) for at, text in enumerate(texts, start=1) if len(text.strip()) >= least]
