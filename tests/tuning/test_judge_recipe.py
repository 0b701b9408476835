from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny import make_tiny_model

from fourfold.errors import ModelError, QuestionError
from fourfold.llm.port import Adapter, Message, Prompt
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings, TuningSettings
from fourfold.tuning.judge_recipe import TrainedJudge, judge_loss, train_judge
from fourfold.tuning.judge_rows import JudgedExample, JudgeRow, build_judge_set, collate
from fourfold.tuning.train import Base

SETTINGS = ModelSettings(dtype="float32", quantisation="none")
RATINGS = ("4", "2")
TUNING = TuningSettings(
    rank=8, alpha=16, epochs=2, batch_rows=4, micro_batch_rows=2, checkpoint_steps=1, learning_rate=1e-2
)


def chat(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def example(number: int) -> JudgedExample:
    """Right where answer and reference are the same; without the reference, by a mark in the answer."""
    right = number % 2 == 0
    answer = f"{number} litres{'' if right else ' or so'}"
    return JudgedExample(
        with_reference=chat(f"Reference: {number} litres\nAnswer: {answer}\nRating:"),
        without_reference=chat(f"Answer: {answer}\nRating:"),
        rating="4" if right else "2",
    )


EXAMPLES = [example(number) for number in range(8)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return make_tiny_model(tmp_path_factory.mktemp("judge") / "model", spread=0.5)


@pytest.fixture(scope="module")
def engine(model: Weights) -> TorchEngine:
    return TorchEngine(model, SETTINGS, device="cpu")


def train(
    folder: Path, engine: TorchEngine, tuning: TuningSettings = TUNING, *, seed: int = 0, progress: Any = None
) -> TrainedJudge:
    folder.mkdir(parents=True, exist_ok=True)
    return train_judge(
        folder,
        build_judge_set(engine, EXAMPLES, RATINGS),
        Base(weights=engine.weights, settings=SETTINGS, device="cpu"),
        tuning=tuning,
        seed=seed,
        progress=progress or (lambda _done, _total: None),
    )


def test_the_loss_is_the_papers_sum_worked_by_hand() -> None:
    # Three tokens; ratings are 0 and 2. With reference: P = (.5, .25, .25); without: (.25, .5, .25).
    seen = torch.tensor([[0.5, 0.25, 0.25]]).log()
    unseen = torch.tensor([[0.25, 0.5, 0.25]]).log()
    loss = judge_loss(seen, unseen, torch.tensor([0]), torch.tensor([0, 2]))
    # Over the ratings: teacher (2/3, 1/3), student (1/2, 1/2).
    divergence = 2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3)
    assert loss.item() == pytest.approx(math.log(2) + 0.3 * math.log(4) + 2 * divergence, abs=1e-6)


def test_the_divergence_moves_only_the_judge_without_reference() -> None:
    seen = torch.tensor([[2.0, 0.0, 0.0]], requires_grad=True)
    unseen = torch.zeros(1, 3, requires_grad=True)
    judge_loss(seen, unseen, torch.tensor([0]), torch.tensor([0, 2])).backward()
    alone = torch.tensor([[2.0, 0.0, 0.0]], requires_grad=True)
    torch.nn.functional.cross_entropy(alone, torch.tensor([0])).backward()
    assert seen.grad is not None
    assert alone.grad is not None
    assert torch.allclose(seen.grad, alone.grad)
    assert unseen.grad is not None
    assert unseen.grad[0, 2] > 0


def test_both_forms_of_every_row_stand_in_one_batch_padded_on_the_right() -> None:
    rows = [
        JudgeRow(with_reference_ids=(1, 2, 3, 4), without_reference_ids=(1, 2), target=0),
        JudgeRow(with_reference_ids=(5, 6, 7), without_reference_ids=(8,), target=1),
    ]
    batch = collate(rows, pad_id=0)
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 0], [1, 2, 0, 0], [8, 0, 0, 0]]
    assert batch["last"].tolist() == [3, 2, 1, 0]
    assert batch["targets"].tolist() == [0, 1]


def test_a_tiny_judge_learns_to_rate_without_the_reference(tmp_path: Path, engine: TorchEngine) -> None:
    tuning = TUNING.model_copy(update={"epochs": 30, "checkpoint_steps": 1000})
    trained = train(tmp_path / "a", engine, tuning)
    assert trained.loss_last < 0.5 < trained.loss_first
    adapter = Adapter(folder=tmp_path / "a", digest=trained.digest)
    rows = build_judge_set(engine, EXAMPLES, RATINGS).rows
    prompts = [Prompt(token_ids=row.without_reference_ids) for row in rows]
    for judge, n_right in ((adapter, len(rows)), (None, None)):
        scored = engine.score(prompts, [RATINGS] * len(rows), judge)
        called = [int(one[1].logprobs[0] > one[0].logprobs[0]) for one in scored]
        right = sum(place == row.target for place, row in zip(called, rows, strict=True))
        assert right == n_right if n_right is not None else right < len(rows)


def test_resuming_after_a_kill_gives_the_same_bytes_as_no_kill(tmp_path: Path, engine: TorchEngine) -> None:
    whole = train(tmp_path / "whole", engine)

    def kill(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", engine, progress=kill)
    steps: list[int] = []
    resumed = train(tmp_path / "killed", engine, progress=lambda done, _total: steps.append(done))
    assert steps == [3, 4]
    assert resumed == whole
    assert (whole.n_rows, whole.n_steps) == (8, 4)


def test_micro_batches_add_up_to_the_batch(tmp_path: Path, engine: TorchEngine) -> None:
    halves = train(tmp_path / "a", engine)
    at_once = train(tmp_path / "b", engine, TUNING.model_copy(update={"micro_batch_rows": 4}))
    assert halves.loss_first == pytest.approx(at_once.loss_first, rel=1e-4)
    assert halves.loss_last == pytest.approx(at_once.loss_last, rel=1e-2)


def test_the_seed_decides_and_the_settings_are_kept_without_a_path(tmp_path: Path, engine: TorchEngine) -> None:
    before = torch.random.get_rng_state()
    first, second = train(tmp_path / "a", engine, seed=1), train(tmp_path / "b", engine, seed=2)
    assert first.digest != second.digest
    assert torch.equal(torch.random.get_rng_state(), before)
    record = json.loads((tmp_path / "a" / "training.json").read_text(encoding="utf-8"))
    assert (record["recipe"], record["seed"], record["base"]["digest"]) == ("self-judge", 1, engine.weights.digest)
    assert str(engine.weights.folder) not in (tmp_path / "a" / "adapter_config.json").read_text(encoding="utf-8")
    assert not (tmp_path / "a" / "checkpoints").exists()


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path, engine: TorchEngine) -> None:
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1"):
        train_judge(
            tmp_path,
            build_judge_set(engine, EXAMPLES, RATINGS),
            Base(weights=_poisoned(engine.weights, tmp_path / "model"), settings=SETTINGS, device="cpu"),
            tuning=TUNING,
            seed=0,
            progress=lambda _done, _total: None,
        )


def _poisoned(weights: Weights, folder: Path) -> Weights:
    import shutil

    from safetensors.torch import load_file, save_file

    from fourfold.llm.weights import find_language_model

    shutil.copytree(weights.folder, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return find_language_model(str(folder), folder)


UNKNOWN = JudgedExample(with_reference=chat("x"), without_reference=chat("x"), rating="9")


@pytest.mark.parametrize("examples", [[], EXAMPLES[::2], [*EXAMPLES, UNKNOWN]], ids=["none", "one class", "unknown"])
def test_labels_that_teach_nothing_are_refused(engine: TorchEngine, examples: list[JudgedExample]) -> None:
    with pytest.raises(QuestionError, match="nothing to tune a judge on"):
        build_judge_set(engine, examples, RATINGS)


def test_a_rating_of_several_tokens_is_refused(engine: TorchEngine) -> None:
    with pytest.raises(ModelError, match="cannot be tuned as a judge") as error:
        build_judge_set(engine, EXAMPLES, (*RATINGS, "excellent!"))
    assert "token(s)" in str(error.value.seen)
