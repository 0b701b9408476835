from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny import make_tiny_model
from support.tuned import PLAIN, changed, make_rows, train
from torch.nn import functional

from fourfold.llm.load import load_base
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import Weights
from fourfold.tuning import reference
from fourfold.tuning.cit import penalty
from fourfold.tuning.drift import Probe
from fourfold.tuning.methods import with_adapter
from fourfold.tuning.objectives import cut_padded, objective_of, shown_in
from fourfold.tuning.reference import Shown, mean_logprobs, reference_logprobs
from fourfold.tuning.train import TrainingSet

ROWS = make_rows(3)


@pytest.mark.parametrize(("form", "expected"), [("two-sided", 0.5 + 0.2 + 0.0), ("hinge", 0.5)])
def test_the_penalty_sums_changes_or_only_rises(form: Any, expected: float) -> None:
    tuned, base = torch.tensor([-1.0, -2.2, -3.0]), torch.tensor([-1.5, -2.0, -3.0])
    assert penalty(tuned, base, form).item() == pytest.approx(expected)


def _mean_by_hand(model: Any, ids: tuple[int, ...], span: tuple[int, int]) -> torch.Tensor:
    logprobs = functional.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].float(), dim=-1)
    return torch.stack([logprobs[at - 1, ids[at]] for at in range(*span)]).mean()


@pytest.mark.parametrize("form", ["two-sided", "hinge"])
def test_a_steps_loss_is_answers_plus_alpha_times_the_mean_over_documents(tiny: Weights, form: str) -> None:
    model = load_base(tiny, PLAIN, device="cpu")
    base = {shown_in(row).key: (-5.5, -6.5) for row in ROWS}
    batches = cut_padded(ROWS, budget=40, pad_id=0, base=base)
    assert len(batches) > 1
    objective = objective_of(changed(objective="cit", cit_alpha=0.7, cit_form=form))
    total = torch.stack([objective(model, batch) for batch in batches]).sum()
    answers = torch.stack([
        _mean_by_hand(model, row.prompt_ids + row.answer_ids, (len(row.prompt_ids), row.n_tokens)) for row in ROWS
    ])  # fmt: skip
    documents = [_mean_by_hand(model, row.prompt_ids, span) - known for row in ROWS
                 for span, known in zip(row.document_spans, (-5.5, -6.5), strict=True)]  # fmt: skip
    changes = torch.stack(documents)
    held = changes.abs() if form == "two-sided" else changes.clamp(min=0)
    torch.testing.assert_close(total, -answers.mean() + 0.7 * held.mean())
    assert held.mean() > 0.1


def test_alpha_zero_is_plain_tuning_to_the_byte(tmp_path: Path, tiny: Weights) -> None:
    plain = train(tmp_path / "sft", tiny)
    assert train(tmp_path / "cit", tiny, changed(objective="cit", cit_alpha=0)).digest == plain.digest
    assert train(tmp_path / "held", tiny, changed(objective="cit", cit_alpha=1)).digest != plain.digest


def test_tuning_that_holds_the_documents_moves_them_less_and_still_learns(tmp_path: Path) -> None:
    weights = make_tiny_model(tmp_path / "model", spread=0.5)
    rows = make_rows(4)
    data = TrainingSet(rows=rows, validation=rows, probes=[Probe(kind="gold", shown=shown_in(row)) for row in rows])
    found = {}
    for weight in (0, 1):
        tuning = changed(
            objective="cit", cit_alpha=weight, epochs=24, learning_rate=5e-3, rank=16, alpha=32,
            checkpoint="best", checkpoint_steps=1000,
        )  # fmt: skip
        found[weight] = train(tmp_path / str(weight), weights, tuning, data=data)
    moved = {weight: abs(trained.drift[-1].gold or 0) for weight, trained in found.items()}
    assert moved[1] < 0.2 * moved[0]
    assert len(found[1].drift) == 24
    assert found[1].looks[-1].loss < 0.3 * found[1].looks[0].loss


def _peft(weights: Weights) -> Any:
    with quiet_transformers():
        return with_adapter(load_base(weights, PLAIN, device="cpu"), changed())


def test_the_reference_is_the_base_without_its_adapter(tmp_path: Path, tiny: Weights) -> None:
    peft_model = _peft(tiny)
    shown = [shown_in(row) for row in ROWS]
    untouched = mean_logprobs(load_base(tiny, PLAIN, device="cpu"), shown)
    for name, parameter in peft_model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.ones_(parameter)
    assert mean_logprobs(peft_model.get_base_model(), shown)[0] != pytest.approx(untouched[0], abs=1e-3)
    found = reference_logprobs(peft_model, shown, folder=tmp_path, base="b")
    for one, expected in zip(shown, untouched, strict=True):
        assert found[one.key] == pytest.approx(expected, abs=1e-6)


def test_the_reference_is_computed_once_and_kept_by_content(
    tmp_path: Path, tiny: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    peft_model, shown = _peft(tiny), [shown_in(row) for row in ROWS]
    found = reference_logprobs(peft_model, [*shown, shown[0]], folder=tmp_path, base="b")
    (file,) = tmp_path.iterdir()
    assert len(json.loads(file.read_text())) == 3

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(reference, "mean_logprobs", refuse)
    assert reference_logprobs(peft_model, shown, folder=tmp_path, base="b") == found
    for others in ({"base": "another"}, {"shown": shown[:2]}):
        with pytest.raises(AssertionError, match="computed again"):
            reference_logprobs(peft_model, others.get("shown", shown), folder=tmp_path, base=others.get("base", "b"))


def test_what_follows_the_last_document_changes_no_key() -> None:
    one, other = (Shown(prompt_ids=(1, 2, 3, 4, last), spans=((1, 4),)) for last in (5, 6))
    assert one.key == other.key != Shown(prompt_ids=(1, 2, 3, 9, 5), spans=((1, 4),)).key
