"""A whole study in seconds: real PDFs, a tiny random model, and questions written by a script.

A random model cannot write a question that passes the checks; everything else (index, training, answers, scores)
is the product's own code on the tiny model.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from support.pdfs import Text, pdf_bytes
from support.tiny import make_tiny_model

from fourfold.app.context import Context
from fourfold.app.progress import Reporter
from fourfold.app.run import Done, carry_out
from fourfold.ingest.filters import content_words
from fourfold.llm.port import Adapter, Prompt, RawCompletion, Sampling
from fourfold.llm.torch_engine import TorchEngine
from fourfold.store import Store
from fourfold.study import StudySettings
from fourfold.study_file import load_study

_PLACES = ("boiler", "reservoir", "turbine", "filter", "sluice", "gauge")
_FILES = ("north.pdf", "south.pdf")


def scripted_reply(prompt: str) -> str | None:
    """A question about the prompt's sentence, or its answer; None for a prompt that asks for neither."""
    if "You write a question about one sentence" in prompt:
        words = content_words(prompt.rpartition("Sentence: ")[2].partition("<|im_end|>")[0])
        return f"Which rule covers {' '.join(words[at] for at in (2, 5, 6, 9))}?"
    if "with the words of the sentence" in prompt:
        sentence = prompt.rpartition("Sentence: ")[2].partition("\nQuestion:")[0]
        return " ".join(sentence.rstrip(".").split()[-4:])
    return None


class ScriptedEngine(TorchEngine):
    """The torch engine, but prompts that ask for a question or its answer are answered from their sentence."""

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, adapter: Adapter | None) -> list[RawCompletion]:
        scripted = [scripted_reply(self.tokenizer.decode(list(prompt.token_ids or ()))) for prompt in prompts]
        if any(text is None for text in scripted):
            return super().complete(prompts, sampling, adapter)
        return [
            self._as_completion(text, prompt.n_tokens or 0)
            for text, prompt in zip(scripted, prompts, strict=True)
            if text is not None
        ]

    def _as_completion(self, text: str, n_prompt_tokens: int) -> RawCompletion:
        ids = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return RawCompletion(
            text=text,
            token_ids=ids,
            logprobs=(-0.5,) * len(ids),
            n_prompt_tokens=n_prompt_tokens,
            n_answer_tokens=len(ids),
            finish_reason="stop",
        )


class ScriptedContext(Context):
    """A context whose student is scripted."""

    @functools.cached_property
    def student(self) -> TorchEngine:
        return ScriptedEngine(self.weights, self.study.model, device="cpu")


def sentence(file: str, place: str, rule: int) -> str:
    return (
        f"Rule {rule} of the {file.partition('.')[0]} plant says that the {place} crew checks valve {place[0]}{rule} "
        f"every {rule + 2} hours before shift {rule + 4} begins."
    )


def write_inputs(folder: Path) -> Path:
    """Two PDFs of six sections, one broken PDF, twelve test questions, a tiny model and a study file."""
    corpus = folder / "pdfs"
    corpus.mkdir(parents=True)
    rows = []
    for file in _FILES:
        pages = []
        for number, place in enumerate(_PLACES, start=1):
            lines = [Text(72, 80, f"{number} The {place}", 18, bold=True)]
            for rule in range(1, 7):
                first, second = _halves(sentence(file, place, rule))
                lines += [Text(72, 90 + 40 * rule, first), Text(72, 102 + 40 * rule, second)]
            pages.append(lines)
            rows.append({
                "id": f"{file[0]}{number}", "question": f"How often does the {place} crew check valve {place[0]}2?",
                "reference": "every 4 hours", "key_facts": [["4 hours", "four hours"]], "document": file,
                "page": number, "quote": sentence(file, place, 2),
            })  # fmt: skip
        (corpus / file).write_bytes(pdf_bytes(pages))
    (corpus / "broken.pdf").write_text("This is no PDF.")
    questions = folder / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    make_tiny_model(folder / "model")
    study = folder / "study.yaml"
    study.write_text(
        "name: tiny\ncorpus: {folder: pdfs}\nmodel: {id: model, dtype: float32, batch_tokens: 2048}\n"
        "questions: {file: questions.jsonl, n_tuning: 12, n_validation: 2, max_question_tokens: 64}\n"
        "index: {chunk_tokens: 96, chunk_overlap: 8}\nretrieval: {k: 2}\n"
        "tuning: {rank: 4, alpha: 8, batch_rows: 4, micro_batch_rows: 2, checkpoint_steps: 2}\n"
        "answer: {max_tokens: 8}\n",
        encoding="utf-8",
    )
    return study


def run_scripted(
    study: Path,
    runs: Path,
    *,
    overrides: Sequence[str] = (),
    reporter: Reporter | None = None,
    open_store: Callable[[Path], Store] = Store.open,
) -> Done:
    """Carry out a study with the scripted engine."""
    settings: StudySettings = load_study(study, overrides)
    with open_store(runs) as store:
        context = ScriptedContext(
            study=settings, store=store, reporter=reporter or Reporter(quiet=True), cache=runs / "cache"
        )
        return carry_out(context)


def _halves(text: str) -> tuple[str, str]:
    words = text.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])
