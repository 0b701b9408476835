from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from support.tuned import PLAIN, KilledError, changed, kill_at, make_rows, train

from fourfold.digest import digest_of_file
from fourfold.errors import QuestionError
from fourfold.llm.load import load_base
from fourfold.llm.weights import Weights
from fourfold.tuning.train import TrainingSet
from fourfold.tuning.validation import Look, best_look, is_spent, validation_loss

ROWS = make_rows()
# What a row teaches is far from what these answers are: the longer it tunes, the worse it gets after a while.
DATA = TrainingSet(rows=ROWS[:4], validation=ROWS[4:])
DIVERGING = changed(checkpoint="best", evaluate_steps=1, epochs=6, learning_rate=0.3)


def looks(*losses: float) -> list[Look]:
    return [Look(step=step, loss=loss) for step, loss in enumerate(losses, start=1)]


@pytest.mark.parametrize(
    ("losses", "best", "spent_at_2"),
    [((3, 2, 1), 3, False), ((1, 2), 1, False), ((1, 2, 3), 1, True), ((2, 1, 1, 1), 2, True), ((1,), 1, False)],
)
def test_the_lowest_loss_wins_and_the_earliest_of_equals(
    losses: tuple[float, ...], best: int, spent_at_2: bool
) -> None:
    seen = looks(*losses)
    assert best_look(seen).step == best
    assert is_spent(seen, 2) is spent_at_2
    assert not is_spent(seen, None)


def test_the_loss_is_the_mean_over_all_answer_tokens(tiny: Weights) -> None:
    model = load_base(tiny, PLAIN, device="cpu")
    alone = [validation_loss(model, [row]) for row in ROWS[:2]]
    longer = make_rows(1)[0]
    assert validation_loss(model, ROWS[:2]) == pytest.approx(sum(alone) / 2)
    assert validation_loss(model, [longer]) == pytest.approx(math.log(400), abs=0.3)


def test_the_best_weights_are_kept_not_the_last(tmp_path: Path, tiny: Weights) -> None:
    found = train(tmp_path / "best", tiny, DIVERGING, data=DATA)
    assert [look.step for look in found.looks] == [1, 2, 3, 4, 5, 6]
    assert found.best_step == best_look(found.looks).step < 6
    last = train(tmp_path / "last", tiny, DIVERGING.model_copy(update={"checkpoint": "last"}), data=DATA)
    assert (last.best_step, last.looks) == (None, ())
    assert last.digest != found.digest == digest_of_file(tmp_path / "best" / "adapter_model.safetensors")
    assert json.loads((tmp_path / "best" / "training.json").read_text())["result"]["best_step"] == found.best_step


def test_tuning_stops_when_patience_is_spent_and_gives_the_same_weights(tmp_path: Path, tiny: Weights) -> None:
    whole = train(tmp_path / "whole", tiny, DIVERGING, data=DATA)
    stopped = train(tmp_path / "stopped", tiny, DIVERGING.model_copy(update={"patience": 1}), data=DATA)
    assert stopped.n_steps < whole.n_steps == 6
    assert stopped.n_steps == len(stopped.looks)
    assert stopped.best_step == whole.best_step
    assert stopped.digest == whole.digest


def test_a_killed_run_chooses_as_one_that_was_never_killed(tmp_path: Path, tiny: Weights) -> None:
    whole = train(tmp_path / "whole", tiny, DIVERGING, data=DATA)
    with pytest.raises(KilledError):
        train(tmp_path / "killed", tiny, DIVERGING, data=DATA, progress=kill_at(4))
    assert train(tmp_path / "killed", tiny, DIVERGING, data=DATA) == whole


def test_without_validation_questions_there_is_nothing_to_choose_by(tmp_path: Path, tiny: Weights) -> None:
    with pytest.raises(QuestionError, match="nothing to choose a checkpoint by"):
        train(tmp_path, tiny, DIVERGING)
