from __future__ import annotations

import pytest
from support.judges import answer_in, make_item, user_text

from fourfold.evals.judge.blinding import blind
from fourfold.evals.judge.prompts import pointwise_chat
from fourfold.evals.judge.rubric import RUBRICS


@pytest.mark.parametrize(
    "answer",
    [
        "It is checked every 4 hours [2].",
        "According to the passages, It is checked every 4 hours.",
        "Based on the provided context: It is checked every 4 hours [1][3].",
        "As stated in passage [2], It is checked every 4 hours (passage 2).",
        "**It is checked every 4 hours.**",
        "Answer: It is checked  every 4 hours.",
        "# It is checked every 4 hours.",
    ],
)
def test_what_gives_the_arm_away_is_taken_out(answer: str) -> None:
    assert blind(answer) == "It is checked every 4 hours."


@pytest.mark.parametrize(
    "answer",
    ["4. June", "- 5 °C", "the interval [1, 5]", "call __init__ first", "In the winter, at noon.", "[12]",
     "from 3 to 5", "каждые 4 часа", "2 * 3 * 4"],
)  # fmt: skip
def test_what_is_part_of_the_answer_stays(answer: str) -> None:
    assert blind(answer) == answer


def test_a_list_loses_its_marks_and_keeps_its_lines() -> None:
    assert blind("1. open the valve\n2. wait\n\n\n3. close it") == "open the valve\nwait\nclose it"


def test_prompts_of_two_arms_that_say_the_same_are_the_same() -> None:
    plain = pointwise_chat(RUBRICS["correctness"], make_item(answer="every 4 hours"), how="probabilities")
    cited = pointwise_chat(
        RUBRICS["correctness"], make_item(answer="According to passage 2, every 4 hours [2]"), how="probabilities"
    )
    assert plain == cited
    assert answer_in(plain) == "every 4 hours"


def test_the_judge_is_shown_no_arm() -> None:
    for rubric in RUBRICS.values():
        chat = pointwise_chat(rubric, make_item(guideline="names the interval"), how="text")
        assert not any(arm in user_text(chat) + chat[0].content for arm in ("rag", "tuned", "base", "n-shot"))
