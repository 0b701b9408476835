from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from pydantic import ValidationError
from support.tuned import ROUNDED

from fourfold.llm.port import Adapter, Chat, Prompt, Scored
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights
from fourfold.tuning.checks.forgetting import GeneralItem, answer_items, general_items, likelihood_of

ITEM = {"id": "a", "topic": "t", "question": "Which?", "options": ["b", "c", "d", "e"], "answer": 2}


class Table:
    """An engine whose log-probabilities are given, an option a row."""

    def __init__(self, *rows: Sequence[Sequence[float]]) -> None:
        self.rows = rows
        self.asked: list[Chat] = []

    def prepare(self, chats: Sequence[Chat]) -> list[Prompt]:
        self.asked += chats
        return [Prompt(chat=chat) for chat in chats]

    def score(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]], adapter: Adapter | None
    ) -> list[tuple[Scored, ...]]:
        assert len(prompts) == len(continuations)
        assert adapter is None
        return [
            tuple(Scored(token_ids=(0,) * len(row), logprobs=tuple(row), spans=((0, 1),) * len(row)) for row in rows)
            for rows in self.rows
        ]


def test_the_project_has_a_hundred_items_or_more_each_once_with_four_different_options() -> None:
    items = general_items()
    assert len(items) >= 100
    assert len({item.id for item in items}) == len({item.question for item in items}) == len(items)
    assert all(len(set(item.options)) == 4 for item in items)
    assert len(Counter(item.topic for item in items)) >= 8
    # Always taking one place is worth chance.
    places = Counter(item.answer for item in items)
    assert max(places.values()) - min(places.values()) <= 1


@pytest.mark.parametrize(
    "change", [{"options": ["b", "c", "d"]}, {"answer": 4}, {"answer": -1}, {"question": ""}, {"more": 1}]
)
def test_an_item_of_another_form_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GeneralItem.model_validate({**ITEM, **change})


def test_the_likeliest_option_is_the_answer_and_the_first_of_equal_ones() -> None:
    item = GeneralItem.model_validate(ITEM)
    engine = Table([[-3.0], [-1.0, -1.0], [-1.5], [-2.0]], [[-1.0], [-0.5, -0.5], [-2.0], [-1.0]])
    assert answer_items(engine, [item, item], None) == [2, 0]
    assert [message.content for message in engine.asked[0]] == ["Which?"]


def test_likelihood_is_the_mean_over_a_passages_tokens() -> None:
    engine = Table([[-1.0, -2.0, -6.0]], [[-0.5]])
    first, second = likelihood_of(engine, [("p", "some text"), ("q", "x")], 2, None)
    assert (first.passage_id, first.nats, first.n_tokens) == ("p", 3.0, 3)
    assert (second.nats, second.n_tokens) == (0.5, 1)


def test_on_a_real_model_likelihood_is_that_of_its_own_forward_pass(
    tiny: Weights, tuned: Callable[..., Adapter]
) -> None:
    import torch

    engine = TorchEngine(tiny, ROUNDED, device="cpu")
    text = "the pump runs at noon"
    (base,) = likelihood_of(engine, [("p", text)], engine.tokenizer.eos_token_id, None)
    (other,) = likelihood_of(engine, [("p", text)], engine.tokenizer.eos_token_id, tuned())
    ids = torch.tensor([[engine.tokenizer.eos_token_id, *engine.tokenizer(text)["input_ids"]]])
    with torch.inference_mode():
        loss = engine.load()(input_ids=ids, labels=ids).loss
    assert math.isclose(base.nats, float(loss), abs_tol=1e-5)
    assert abs(base.nats - other.nats) > 1e-3
