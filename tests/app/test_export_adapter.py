"""An adapter taken out of a finished study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fourfold.app.export_adapter import Form, Wanted, export_adapter
from fourfold.app.progress import Reporter
from fourfold.errors import StoreError, StudyError
from fourfold.llm.load import load_base
from fourfold.llm.weights import find_language_model
from fourfold.study_file import load_study
from fourfold.tuning.export.model_card import Licences

if TYPE_CHECKING:
    from app.conftest import Finished


def export(finished: Finished, what: Wanted, *overrides: str, base: str | None = None) -> Path:
    return export_adapter(
        load_study(finished.study, overrides), finished.runs, cache=finished.runs / "cache",
        reporter=Reporter(quiet=True), what=what, licences=Licences(base=base, documents="GPL-2.0-or-later"),
    )  # fmt: skip


def test_every_form_is_written_with_the_studys_figures(finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export(finished, Wanted(forms=tuple(Form), out=out), base="MIT") == out
    assert {path.name for path in out.iterdir()} == {"README.md", "peft", "merged", "adapter.gguf"}
    card = (out / "README.md").read_text(encoding="utf-8")
    assert finished.done.report is not None
    assert finished.done.report.sentence in card
    assert "Base: MIT. Documents: GPL-2.0-or-later." in card
    assert "- north.pdf\n- south.pdf" in card
    assert (out / "peft" / "README.md").read_text(encoding="utf-8") == card
    assert (out / "peft" / "adapter_model.safetensors").is_file()
    merged = find_language_model(str(out / "merged"), tmp_path)
    settings = load_study(finished.study).model.model_copy(update={"quantisation": "none"})
    assert load_base(merged, settings, device="cpu").config.num_hidden_layers == 2


def test_without_a_finished_report_the_card_says_so(finished: Finished, tmp_path: Path) -> None:
    out = export(finished, Wanted(forms=(Form.PEFT,), out=tmp_path / "out"), "answer.max_tokens=5")
    assert "Not scored" in (out / "README.md").read_text(encoding="utf-8")


def test_a_study_that_was_not_tuned_so_has_nothing_to_export(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="tune"):
        export(finished, Wanted(forms=(Form.PEFT,), out=tmp_path / "out"), "tuning.rank=2")
    assert not (tmp_path / "out").exists()


def test_a_study_without_tuned_arms_has_nothing_to_export(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no arm is tuned"):
        export(finished, Wanted(forms=(Form.PEFT,), out=tmp_path / "out"), "answer.arms=[base, rag]")


def test_another_seed_than_the_studys_is_refused(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"one of tuning\.seeds: 0"):
        export(finished, Wanted(forms=(Form.PEFT,), seed=7, out=tmp_path / "out"))


def test_a_folder_that_is_there_stays(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there already"):
        export(finished, Wanted(forms=(Form.PEFT,), out=tmp_path))
    assert list(tmp_path.iterdir()) == []
