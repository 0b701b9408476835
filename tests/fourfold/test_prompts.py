from __future__ import annotations

import pytest

from fourfold.llm.port import Message
from fourfold.prompts import CITE, PLAIN, Contrast, PromptForm, answer_chat, prompt_form
from fourfold.study import AnswerSettings

CONTEXTS = ["the pump runs", "the valve closes"]
PASSAGES = "Passages:\n[1] the pump runs\n\n[2] the valve closes"


def turns(chat: tuple[Message, ...]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in chat]


def test_the_default_prompts_are_these_bytes() -> None:
    """Written out: every stored generation and every adapter so far goes with them."""
    assert turns(answer_chat("Answer.", "Why?", None)) == [("system", "Answer."), ("user", "Question: Why?")]
    assert turns(answer_chat("Answer.", "Why?", CONTEXTS, [("a?", "b")])) == [
        ("system", "Answer."),
        ("user", "Question: a?"),
        ("assistant", "b"),
        ("user", f"{PASSAGES}\n\nQuestion: Why?"),
    ]
    assert turns(answer_chat("Answer.", "Why?", [])) == [
        ("system", "Answer."),
        ("user", "Passages:\n\n\nQuestion: Why?"),
    ]
    assert prompt_form(AnswerSettings()) == PLAIN == PromptForm()


@pytest.mark.parametrize(
    ("settings", "system", "user"),
    [
        ({"citations": True}, "Answer.", f"{PASSAGES}\n\n{CITE}\n\nQuestion: Why?"),
        ({"contexts": "after_question"}, "Answer.", f"Question: Why?\n\n{PASSAGES}"),
        ({"contexts": "in_system"}, f"Answer.\n\n{PASSAGES}", "Question: Why?"),
        (
            {"contexts": "in_system", "citations": True},
            f"Answer.\n\n{PASSAGES}",
            f"{CITE}\n\nQuestion: Why?",
        ),
        (
            {"contexts": "after_question", "citations": True},
            "Answer.",
            f"Question: Why?\n\n{PASSAGES}\n\n{CITE}",
        ),
    ],
)
def test_position_and_citations_are_chosen_by_the_study(settings: dict[str, object], system: str, user: str) -> None:
    form = prompt_form(AnswerSettings.model_validate(settings))
    assert turns(answer_chat("Answer.", "Why?", CONTEXTS, form=form)) == [("system", system), ("user", user)]


def test_without_contexts_every_form_is_the_same_prompt() -> None:
    """Rule 1: an arm without retrieval is asked the same whatever is chosen for those with it."""
    form = PromptForm(citations=True, contexts="in_system")
    assert answer_chat("Answer.", "Why?", None, form=form) == answer_chat("Answer.", "Why?", None)


def test_contrasts_stand_at_the_head_of_the_questions_turn() -> None:
    contrast = Contrast(question="When?", correct="at noon", incorrect="at night")
    (_, user) = answer_chat("Answer.", "Why?", CONTEXTS, contrasts=[contrast])
    example = "Example question: When?\nCorrect answer: at noon\nIncorrect answer: at night"
    assert user.content == f"{example}\n\n{PASSAGES}\n\nQuestion: Why?"
