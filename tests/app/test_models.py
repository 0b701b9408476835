"""`fourfold models`: what is listed, counted and refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from support.scripted import write_inputs
from support.tiny_gguf import write_tiny_gguf

from fourfold.app import cli
from fourfold.app.memory import Machine, look_at_machine, need_of
from fourfold.app.models import Listed, list_models
from fourfold.errors import ModelError
from fourfold.llm.gguf_header import read_gguf_header
from fourfold.llm.shape import Shape, read_folder_shape, read_gguf_shape
from fourfold.llm.weights import Weights, embedded_gguf, ensure_converted, find_language_model
from fourfold.study import CorpusSettings, ModelSettings, StudySettings
from fourfold.study_file import load_study

GB = 1_000_000_000
MACHINE = Machine(device="cpu", available_bytes=4 * GB, total_bytes=8 * GB)
# 2 layers of width 32, 4 heads of 8 over 2 key-value heads, tied head.
TINY = Shape(n_parameters=0, n_layers=2, n_kv_heads=2, head_size=8, width=32)
# SmolLM2-135M: 30 layers, 3 key-value heads of 64.
SMOL = Shape(n_parameters=134_515_008, n_layers=30, n_kv_heads=3, head_size=64, width=576)


def n_tiny(tiny: Weights) -> int:
    """Counted by torch."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny.folder)
    return sum(weight.numel() for weight in model.parameters())


def test_a_folders_shape_is_that_of_the_loaded_model(tiny: Weights) -> None:
    assert read_folder_shape(tiny.folder) == Shape(
        n_parameters=n_tiny(tiny), n_layers=2, n_kv_heads=2, head_size=8, width=32
    )  # fmt: skip


def test_a_gguf_files_head_is_read_as_the_gguf_package_reads_it() -> None:
    import gguf

    file = embedded_gguf()
    reader, header = gguf.GGUFReader(file), read_gguf_header(file)
    assert header.n_numbers == sum(int(tensor.n_elements) for tensor in reader.tensors)
    single = {
        name: field.contents() for name, field in reader.fields.items()
        if not name.startswith("GGUF.") and field.types[0] != gguf.GGUFValueType.ARRAY
    }  # fmt: skip
    assert dict(header.values) == single


def test_a_gguf_files_shape_is_that_of_the_model_it_was_made_of(tiny: Weights, tmp_path: Path) -> None:
    assert read_gguf_shape(write_tiny_gguf(tiny, tmp_path / "t.gguf")) == read_folder_shape(tiny.folder)


@pytest.mark.parametrize("held", [b"", b"1234567", b"\xff" * 100, b"\x02" + b"\x00" * 7 + b"[]"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(held)
    (tmp_path / "model.gguf").write_bytes(held)
    for read in (lambda: read_folder_shape(tmp_path), lambda: read_gguf_shape(tmp_path / "model.gguf")):
        with pytest.raises(ModelError, match="cannot be read"):
            read()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"n_layer": 12, "n_head": 12, "n_embd": 768}, (12, 12, 64, 768)),
        ({"text_config": {"num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 32,
          "hidden_size": 100}}, (4, 1, 32, 100)),
        ({}, (None, None, None, None)),
        ([], (None, None, None, None)),
    ],
)  # fmt: skip
def test_a_shape_is_read_under_the_names_of_other_families(
    tmp_path: Path, config: object, expected: tuple[int | None, ...]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shape = read_folder_shape(tmp_path)
    assert (shape.n_layers, shape.n_kv_heads, shape.head_size, shape.width) == expected


def test_memory_is_counted_by_the_formula() -> None:
    # 2 × 30 layers × 3 heads × 64 × 2 bytes = 23,040 bytes a token.
    need = need_of(SMOL, ModelSettings(batch_tokens=16_384))
    assert need.weights == 269_030_016
    assert need.answering == 269_030_016 + 16_384 * 23_040 + 1_600_000_000
    assert need.tuning == 2 * 269_030_016 + 3_500_000_000
    wide = need_of(SMOL, ModelSettings(batch_tokens=16_384, dtype="float32"))
    assert (wide.weights, wide.answering) == (538_060_032, 538_060_032 + 16_384 * 46_080 + 1_600_000_000)
    larger = Shape(n_parameters=0, n_layers=60, n_kv_heads=1, head_size=1, width=1152)
    assert need_of(larger, ModelSettings()).tuning == 4 * 3_500_000_000
    assert need_of(TINY, ModelSettings()).tuning == 3_500_000_000
    assert need_of(Shape(n_parameters=5), ModelSettings()).answering is None


def test_this_machine_has_memory() -> None:
    machine = look_at_machine()
    assert machine.available_bytes is None or 0 < machine.available_bytes <= (machine.total_bytes or 0)


def snapshot(hub: Path, name: str) -> Path:
    """A model's folder as the hub's cache lays it out."""
    commit = "0" * 39 + "1"
    repo = hub / f"models--{name.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit, encoding="utf-8")
    (repo / "blobs").mkdir()
    folder = repo / "snapshots" / commit
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def hub(tiny: Weights, tmp_path: Path) -> Path:
    hub = tmp_path / "hub"
    shutil.copytree(tiny.folder, snapshot(hub, "a/model"), dirs_exist_ok=True)
    embedder = snapshot(hub, "b/embedder")
    shutil.copytree(tiny.folder, embedder, dirs_exist_ok=True)
    (embedder / "modules.json").write_text("[]", encoding="utf-8")
    (snapshot(hub, "c/pickle") / "pytorch_model.bin").write_bytes(b"x")
    write_tiny_gguf(tiny, snapshot(hub, "d/gguf") / "tiny.gguf")
    part = snapshot(hub, "e/part")
    shutil.copytree(tiny.folder, part, dirs_exist_ok=True)
    index = {"weight_map": {"x": "model.safetensors", "y": "model-2.safetensors"}}
    (part / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    code = snapshot(hub, "f/code")
    shutil.copytree(tiny.folder, code, dirs_exist_ok=True)
    config = json.loads((code / "config.json").read_text(encoding="utf-8"))
    (code / "config.json").write_text(json.dumps({**config, "auto_map": {"x": "y"}}), encoding="utf-8")
    return hub


def listed(tmp_path: Path, **given: object) -> dict[str, Listed]:
    rows = list_models(**{"cache": tmp_path / "cache", "hub": tmp_path / "hub", "machine": MACHINE, **given})  # type: ignore[arg-type]
    return {f"{row.source} {row.role} {row.id}": row for row in rows}


def test_the_hub_cache_is_listed_with_what_can_be_used_and_why_not(hub: Path, tiny: Weights, tmp_path: Path) -> None:
    found = {name: row for name, row in listed(tmp_path).items() if row.source == "hub cache"}
    gguf = next(hub.rglob("*.gguf"))
    assert list(found) == [
        "hub cache language model a/model", "hub cache embedder b/embedder", "hub cache unknown c/pickle",
        f"hub cache language model {gguf}", "hub cache language model e/part", "hub cache language model f/code",
    ]  # fmt: skip
    model, embedder, pickle, file, part, code = found.values()
    assert (model.n_parameters, model.form, model.refused) == (n_tiny(tiny), "safetensors", None)
    assert (embedder.n_parameters, embedder.need) == (n_tiny(tiny), None)
    assert pickle.refused == "only pytorch_model.bin, which can hold code: safetensors and GGUF alone are read"
    assert (file.form, file.n_parameters, file.note) == ("gguf", n_tiny(tiny), "of d/gguf; name the file in model.id")
    assert part.refused == "not fetched whole: 1 of 2 files are missing"
    assert code.note == "comes with code of its own, which is not run"


@pytest.mark.usefixtures("hub")
def test_what_fits_depends_on_the_memory_that_is_there(tmp_path: Path) -> None:
    expected = {GB: (False, False), 2 * GB: (True, False), 9 * GB: (True, True), None: (None, None)}
    for available, fits in expected.items():
        machine = Machine(device="cpu", available_bytes=available, total_bytes=available)
        row = listed(tmp_path, machine=machine)["hub cache language model a/model"]
        assert (row.fits_answering, row.fits_tuning) == fits


def test_an_empty_machine_lists_the_embedded_models_alone(tmp_path: Path) -> None:
    found = listed(tmp_path)
    assert list(found) == ["embedded language model embedded", "embedded embedder embedded"]
    model, embedder = found.values()
    assert model.n_parameters == 134_515_008
    assert "the first run converts it" in str(model.note)
    assert embedder.file_bytes == 90_868_376


def test_a_converted_copy_is_listed_and_a_studys_gguf_file_says_where_it_is(tiny: Weights, tmp_path: Path) -> None:
    file = write_tiny_gguf(tiny, tmp_path / "own.gguf")
    study = StudySettings(name="s", corpus=CorpusSettings(folder=tmp_path), model=ModelSettings(id=str(file)))
    assert "the first run converts it" in str(listed(tmp_path, study=study)[f"study language model {file}"].note)
    weights = find_language_model(str(file), tmp_path / "cache")
    ensure_converted(weights)
    found = listed(tmp_path, study=study)
    assert found[f"study language model {file}"].note == f"own; converted at {weights.folder}"
    assert found[f"converted language model {weights.folder}"].n_parameters == n_tiny(tiny)


def test_a_studys_endpoints_are_named_and_not_asked(tmp_path: Path) -> None:
    endpoint = {"urls": "http://127.0.0.1:9/v1", "model": "served"}
    study = StudySettings.model_validate(
        {"name": "s", "corpus": {"folder": str(tmp_path)}, "model": {"endpoint": endpoint},
         "index": {"endpoint": endpoint}}
    )  # fmt: skip
    rows = list_models(cache=tmp_path, hub=tmp_path, machine=MACHINE, study=study)[:2]
    assert [(row.role, row.id, row.where, row.form) for row in rows] == [
        ("language model", "served", "http://127.0.0.1:9/v1", "endpoint"),
        ("embedder", "served", "http://127.0.0.1:9/v1", "endpoint"),
    ]


def test_a_studys_model_that_is_not_here_is_not_fetched(tmp_path: Path) -> None:
    study = StudySettings(name="s", corpus=CorpusSettings(folder=tmp_path), model=ModelSettings(id="owner/model"))
    row = listed(tmp_path, study=study)["study language model owner/model"]
    assert (row.where, row.note) == (None, "not on this machine: the first run fetches it")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["fourfold", "models", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert isinstance(left.value.code, int)
    return left.value.code


def test_the_command_shows_the_studys_models_first_and_the_same_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_inputs(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run(monkeypatch, study) == 0
    told = capsys.readouterr().out
    model = load_study(study).model.id
    assert told.split("\n\n")[1].startswith(f"study: {model} (language model)\n  where:      {model}\n  size: ")
    assert run(monkeypatch, study, "--json") == 0
    held = json.loads(capsys.readouterr().out)
    assert held["machine"]["device"] in {"cpu", "cuda"}
    assert held["models"][0]["where"] == model
    assert held["models"][0]["need"]["weights"] == 4 * held["models"][0]["n_parameters"]
    assert {row["source"] for row in held["models"]} >= {"study", "embedded"}


def test_the_command_without_a_study_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run(monkeypatch) == 0
    assert "embedded: embedded (language model)" in capsys.readouterr().out
    assert run(monkeypatch, tmp_path / "none.yaml") == 2
    # Looking leaves nothing behind.
    assert list(tmp_path.iterdir()) == []
