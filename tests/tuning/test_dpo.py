from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from support.questions import make_question
from support.tuned import PLAIN, KilledError, changed, kill_at, make_rows, train

from fourfold.errors import ModelError, QuestionError
from fourfold.llm.load import load_base
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights
from fourfold.study import TuningSettings
from fourfold.tuning.dpo import wrong_answers
from fourfold.tuning.methods import with_adapter
from fourfold.tuning.reference import Shown, mean_logprobs
from fourfold.tuning.train import TrainingSet

# TRL is an extra of its own, and what it imports takes seconds.
pytest.importorskip("trl", reason="objective dpo needs trl: pip install 'fourfold[preference]'")

ROWS = make_rows(4)
REJECTED = {row.question_id: (90, 91, 2) for row in ROWS}
DATA = TrainingSet(rows=ROWS, rejected=REJECTED)
TUNING: TuningSettings = changed(objective="dpo", learning_rate=2e-2)


def test_the_first_loss_is_ln_2_and_the_preferred_answer_gains_on_the_rejected_one(
    tmp_path: Path, tiny: Weights
) -> None:
    trained = train(tmp_path, tiny, TUNING.model_copy(update={"epochs": 6}), data=DATA, model=PLAIN)
    assert trained.loss_first == pytest.approx(math.log(2), abs=1e-4)
    assert trained.loss_last < 0.9 * math.log(2)
    model: Any = load_base(tiny, PLAIN, device="cpu")

    def margin() -> float:
        def mean(answer: tuple[int, ...]) -> float:
            shown = [Shown(prompt_ids=r.prompt_ids + answer, spans=((len(r.prompt_ids), len(r.prompt_ids) + 3),))
                     for r in ROWS]  # fmt: skip
            return sum(value for (value,) in mean_logprobs(model, shown))

        return sum(mean(row.answer_ids) for row in ROWS[:1]) - mean((90, 91, 2))

    before = margin()
    from peft import set_peft_model_state_dict

    from fourfold.llm.quiet import quiet_transformers

    with quiet_transformers():
        peft_model = with_adapter(model, TUNING)
    set_peft_model_state_dict(peft_model, load_file(tmp_path / "adapter_model.safetensors"))
    assert margin() > before + 0.1


def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path, tiny: Weights) -> None:
    tuning = TUNING.model_copy(update={"batch_rows": 2, "micro_batch_rows": 1})
    whole = train(tmp_path / "whole", tiny, tuning, data=DATA)
    with pytest.raises(KilledError):
        train(tmp_path / "killed", tiny, tuning, data=DATA, progress=kill_at(3))
    assert train(tmp_path / "killed", tiny, tuning, data=DATA) == whole


def test_a_row_without_an_answer_to_reject_is_named(tmp_path: Path, tiny: Weights) -> None:
    rejected = {name: ids for name, ids in REJECTED.items() if name != "2"}
    with pytest.raises(QuestionError, match=r"rows without an answer to reject\n.*seen: +2\n"):
        train(tmp_path, tiny, TUNING, data=TrainingSet(rows=ROWS, rejected=rejected))


def test_only_wrong_answers_are_rejected(tiny: Weights) -> None:
    engine = TorchEngine(tiny, PLAIN, device="cpu")
    questions = [make_question(name, reference="at noon") for name in ("q1", "q2", "q3", "q4")]
    answers = {"q1": "at noon", "q2": "at night", "q3": ""}
    wrong = wrong_answers(engine, questions, answers, lambda text, question: text == question.reference)
    assert set(wrong) == {"q2"}
    assert engine.tokenizer.decode(wrong["q2"]) == "at night<|im_end|>"
    with pytest.raises(QuestionError, match=r"4 tuning question\(s\), none with a wrong answer"):
        wrong_answers(engine, questions, answers, lambda *_: True)


def test_without_trl_the_package_is_named(tmp_path: Path, tiny: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(ModelError, match="the package trl is not installed"):
        train(tmp_path, tiny, TUNING, data=DATA)
