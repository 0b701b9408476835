"""The prompts by which a language model writes a question and, separately, its answer: ours, or a study's own files."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fourfold.errors import QuestionError
from fourfold.ingest.candidates import Candidate
from fourfold.llm.port import Chat, Message

QUESTION_FILE, ANSWER_FILE = "question.txt", "answer.txt"
# Per file: the placeholders that it must have, and those that it may have.
_PLACEHOLDERS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    QUESTION_FILE: (frozenset({"sentence"}), frozenset({"sentence", "section", "document", "tags"})),
    ANSWER_FILE: (
        frozenset({"sentence", "question"}),
        frozenset({"sentence", "question", "section", "document", "tags"}),
    ),
}
_QUESTION_SYSTEM = (
    "You write a question about one sentence of a manual. The question names its subject, so that it can be understood "
    "without the sentence. Reply with the question only."
)
_REFERENCE_SYSTEM = "Answer the question with the words of the sentence that answer it."
# (section, sentence, question, answer), invented, of no corpus.
_EXAMPLES = (
    (
        "Storing seeds",
        "Seeds must be stored below 8 degrees Celsius and at 40% humidity.",
        "At what temperature must seeds be stored?",
        "below 8 degrees Celsius",
    ),
    (
        "The committee",
        "The chair of the committee is elected every two years by secret ballot.",
        "How often is the chair of the committee elected?",
        "every two years",
    ),
    (
        "Volumes",
        "Run zfs-snap as root to copy a volume before it is resized.",
        "Which command copies a volume before it is resized?",
        "zfs-snap",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingPrompts:
    """Templates of one user message each; None: ours, with a system message and three examples."""

    question: str | None = None
    answer: str | None = None

    def question_chat(self, candidate: Candidate, tags: Sequence[str] = ()) -> Chat:
        """Asks for a question about a sentence; without tags the prompt has no line for them."""
        if self.question is not None:
            return _filled(self.question, candidate, tags)
        turns = [Message(role="system", content=_QUESTION_SYSTEM)]
        for section, sentence, question, _ in _EXAMPLES:
            turns.append(Message(role="user", content=f"Section: {section}\nSentence: {sentence}"))
            turns.append(Message(role="assistant", content=question))
        about = f"About: {'; '.join(tags)}\n" if tags else ""
        asked = f"Section: {_section(candidate)}\n{about}Sentence: {candidate.quote}"
        return (*turns, Message(role="user", content=asked))

    def answer_chat(self, candidate: Candidate, question: str, tags: Sequence[str] = ()) -> Chat:
        """Asks for the answer in the words of the sentence."""
        if self.answer is not None:
            return _filled(self.answer, candidate, tags, question=question)
        turns = [Message(role="system", content=_REFERENCE_SYSTEM)]
        for _, sentence, asked, answer in _EXAMPLES:
            turns.append(Message(role="user", content=f"Sentence: {sentence}\nQuestion: {asked}"))
            turns.append(Message(role="assistant", content=answer))
        turns.append(Message(role="user", content=f"Sentence: {candidate.quote}\nQuestion: {question}"))
        return tuple(turns)


def read_prompts(folder: Path | None) -> WritingPrompts:
    """A study's own templates; ours where it names no folder.

    A template is the whole prompt, as one user message. Placeholders stand in braces ({sentence}); a brace that is none
    is doubled.

    Args:
        folder: holds question.txt and answer.txt.

    Raises:
        QuestionError: a file is missing or no UTF-8, braces do not match, or a placeholder is missing or unknown; all
            mistakes of both files in one message.
    """
    if folder is None:
        return WritingPrompts()
    texts: dict[str, str] = {}
    problems = []
    for name in _PLACEHOLDERS:
        try:
            texts[name] = (folder / name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{name}: {error}")
        else:
            problems += [f"{name}: {problem}" for problem in _problems(name, texts[name])]
    if problems:
        raise QuestionError(
            "the prompts of questions.prompts cannot be used",
            seen="\n            ".join(problems),
            expected=f"{QUESTION_FILE} with {{sentence}}, {ANSWER_FILE} with {{sentence}} and {{question}}, in UTF-8",
            hint=f"correct them in {folder}, or leave questions.prompts out",
        )
    return WritingPrompts(question=texts[QUESTION_FILE], answer=texts[ANSWER_FILE])


def _problems(name: str, template: str) -> list[str]:
    required, known = _PLACEHOLDERS[name]
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        return [f"{error} (write {{{{ and }}}} for braces of the text)"]
    fields = [field for _, field, _, _ in parts if field is not None]
    plain = all(not spec and conversion is None for _, _, spec, conversion in parts)
    odd = sorted({field for field in fields if field not in known})
    listed = ", ".join(sorted(known))
    return [
        *(f"{{{field}}} is no placeholder; known are {listed}" for field in odd),
        *(f"{{{field}}} is missing" for field in sorted(required.difference(fields))),
        *([] if plain else ["a placeholder is a name in braces and nothing else"]),
    ]


def _filled(template: str, candidate: Candidate, tags: Sequence[str], *, question: str = "") -> Chat:
    text = template.format(
        sentence=candidate.quote,
        section=_section(candidate),
        document=candidate.document,
        tags="; ".join(tags),
        question=question,
    )
    return (Message(role="user", content=text),)


def _section(candidate: Candidate) -> str:
    return candidate.section[-1] if candidate.section else candidate.document
