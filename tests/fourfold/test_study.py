from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from fourfold.errors import StudyError
from fourfold.study import Settings, StudySettings
from fourfold.study_file import dump_study, load_study
from fourfold.types import ARMS

EXAMPLES = Path(__file__).parents[2] / "examples"
MINIMAL = "name: a\ncorpus: {folder: pdfs}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path, *overrides: str) -> StudyError:
    with pytest.raises(StudyError) as error:
        load_study(path, overrides)
    for part in (error.value.what, error.value.seen, error.value.expected, error.value.hint):
        assert str(part).strip()
    return error.value


def test_name_and_corpus_are_enough(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, MINIMAL))
    assert study.name == "a"
    assert study.model.id == "embedded"
    assert study.answer.arms == ARMS


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.rglob("study*.yaml")), ids=lambda path: path.relative_to(EXAMPLES).as_posix()
)
def test_every_example_loads_and_its_files_are_there(path: Path) -> None:
    study = load_study(path)
    assert study.corpus.folder.is_dir()
    assert study.questions.file is None or study.questions.file.is_file()


def test_there_are_examples() -> None:
    assert list(EXAMPLES.rglob("study*.yaml"))


def test_an_unknown_key_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    error = refused(write(tmp_path, MINIMAL + "retrieval: {candidate: 9}\nindx: {}\n"))
    assert "retrieval.candidate: unknown setting, did you mean 'candidates'?" in str(error)
    assert "indx: unknown setting, did you mean 'index'?" in str(error)


def test_an_unknown_key_like_no_other_is_answered_with_those_known(tmp_path: Path) -> None:
    error = refused(write(tmp_path, MINIMAL + "retrieval: {zzz: 9}\n"))
    assert "retrieval.zzz: unknown setting, known here: k, candidates, rrf_constant" in str(error)


def test_a_misspelt_key_of_a_section_that_may_be_null_is_told_its_name(tmp_path: Path) -> None:
    error = refused(write(tmp_path, MINIMAL), "model.endpoint={urls: 'http://127.0.0.1:1/v1', model: m, retriess: 2}")
    assert "model.endpoint.retriess: unknown setting, did you mean 'retries'?" in str(error.seen)


@pytest.mark.parametrize("where", ["urls: 'http://sk-secret@host/v1'", "urls: 'http://h/v1', key_variable: sk-secret"])
def test_a_key_pasted_where_it_does_not_belong_is_not_shown(tmp_path: Path, where: str) -> None:
    error = refused(write(tmp_path, MINIMAL), f"model.endpoint={{model: m, {where}}}")
    assert "sk-secret" not in str(error)
    assert "model.endpoint." in str(error.seen)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path, MINIMAL + "retrieval: {k: 2}\nretrieval: {k: 3}\n"))
    assert "'retrieval' stands twice" in str(error)
    assert "line 4" in str(error)


def test_all_mistakes_come_in_one_message(tmp_path: Path) -> None:
    error = refused(write(tmp_path, "name: Ä b\nretrieval: {k: 0, kk: 2}\ntuning: {rank: many}\n"))
    assert error.what == "study.yaml: 5 setting(s) are wrong"
    for line in ("name = 'Ä b'", "corpus: missing", "retrieval.k = 0", "retrieval.kk: unknown", "tuning.rank = 'many'"):
        assert line in str(error)


def test_settings_that_do_not_fit_together_come_in_one_message(tmp_path: Path) -> None:
    error = refused(
        write(tmp_path, MINIMAL),
        "score.metrics=[token_f1]",
        "tuning.micro_batch_rows=3",
        "index.chunk_overlap=97",
        "retrieval.candidates=2",
        "verdict.constraints.max_p95_seconds=2",
    )
    assert error.what == "study.yaml: 5 setting(s) do not fit together"
    for text in (
        "verdict.primary = key_fact_recall is not among score.metrics",
        "tuning.micro_batch_rows = 3 does not divide tuning.batch_rows = 8",
        "index.chunk_overlap = 97 is over half of index.chunk_tokens = 192",
        "retrieval.candidates = 2 is under retrieval.k = 3",
        "verdict.constraints.max_p95_seconds is set, and latency.enabled is not",
    ):
        assert text in str(error.seen)


def test_settings_at_the_edge_of_fitting_are_taken(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, MINIMAL), ["index.chunk_overlap=96", "retrieval.candidates=3"])
    assert (study.index.chunk_overlap, study.retrieval.candidates) == (96, 3)


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("retrieval.k=5", lambda s: s.retrieval.k, 5),
        (" retrieval.k = 5", lambda s: s.retrieval.k, 5),
        # YAML 1.1 reads 2e-4 as a text.
        ("tuning.learning_rate=2e-4", lambda s: s.tuning.learning_rate, 2e-4),
        ("questions.subset=demo", lambda s: s.questions.subset, "demo"),
        ("questions.subset=null", lambda s: s.questions.subset, None),
        ("questions.subset=a=b", lambda s: s.questions.subset, "a=b"),
        ("answer.arms=[rag, base]", lambda s: s.answer.arms, ("base", "rag")),
        ("name=b", lambda s: s.name, "b"),
        ("retrieval={k: 4}", lambda s: s.retrieval.k, 4),
    ],
)
def test_an_override_is_read_as_yaml(tmp_path: Path, override: str, read: object, value: object) -> None:
    assert callable(read)
    assert read(load_study(write(tmp_path, MINIMAL), [override])) == value


def test_the_last_override_wins_over_the_file_and_the_ones_before(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "retrieval: {k: 2, candidates: 9}\n")
    study = load_study(path, ["retrieval.k=4", "retrieval.k=6"])
    assert (study.retrieval.k, study.retrieval.candidates) == (6, 9)


def test_an_override_fills_a_section_that_stands_empty(tmp_path: Path) -> None:
    assert load_study(write(tmp_path, MINIMAL + "retrieval:\n"), ["retrieval.k=4"]).retrieval.k == 4


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("retrieval.k", "an override cannot be read"),
        ("=5", "an override cannot be read"),
        ("name.x=5", "an override names a setting inside a value"),
        ("retrieval.k=[", "an override's value is not YAML"),
        ("retrieval.k=x", "retrieval.k = 'x'"),
        ("retrieval.kk=1", "retrieval.kk: unknown setting, did you mean 'k'?"),
        ("a.b.c=1", "a: unknown setting"),
    ],
)
def test_a_bad_override_is_refused(tmp_path: Path, override: str, says: str) -> None:
    assert says in str(refused(write(tmp_path, MINIMAL), override))


def test_paths_are_absolute_and_relative_to_the_study_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("deep/weights", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    text = (
        "name: a\ncorpus: {folder: ../pdfs}\nquestions: {file: q.jsonl, reviewed: r.csv, prompts: p}\n"
        "model: {id: weights}\n"
    )
    write(tmp_path / "deep", text + "index: {embedder: weights}\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    study = load_study(Path("../deep/study.yaml"))
    root = tmp_path.resolve()
    assert study.corpus.folder == root / "pdfs"
    assert study.questions.file == root / "deep" / "q.jsonl"
    assert (study.questions.reviewed, study.questions.prompts) == (root / "deep" / "r.csv", root / "deep" / "p")
    assert study.model.id == study.index.embedder == str(root / "deep" / "weights")


def test_an_id_that_is_no_folder_stays_an_id(tmp_path: Path) -> None:
    (tmp_path / "embedded").mkdir()
    study = load_study(write(tmp_path, MINIMAL), ["model.id=owner/name"])
    assert (study.model.id, study.index.embedder) == ("owner/name", "embedded")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path / "none.yaml")
    assert (error.what, error.seen) == ("no such study file", tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"name: [", "is not YAML"),
        (b"a: 1\n b: 2", "is not YAML"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"", "holds no settings"),
        (b"- a\n- b", "holds no settings"),
        (b"only text", "holds no settings"),
    ],
)
def test_a_file_that_is_no_study_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "study.yaml").write_bytes(data)
    assert says in refused(tmp_path / "study.yaml").what


def test_a_folder_is_no_study_file(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path).what


@pytest.mark.parametrize(
    "name", ["", "A", "-a", ".a", "a/b", "a b", "a\n", "x" * 65, "blobs", "store.db", "store.db-wal"]
)
def test_a_name_must_serve_as_a_folder_beside_the_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match="name = "):
        load_study(write(tmp_path, MINIMAL), [f"name={name!r}" if name != "a\n" else 'name="a\\n"'])


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["tuning.form=both"], "tuning.form"),
        (["tuning.size=2.5"], "must be a share up to 1, or a whole number"),
        (["tuning.size=0"], "tuning.size"),
        (["tuning.objective=cit", "tuning.form=closed_book"], "form closed_book shows none"),
        (["tuning.patience=2"], "set checkpoint to best"),
        (["tuning.method=full", "tuning.objective=dpo"], "objective dpo is for low-rank methods"),
        (["tuning.general={file: g.jsonl, share: 1}"], "tuning.general.share"),
    ],
)
def test_tuning_settings_that_mean_nothing_are_refused(tmp_path: Path, overrides: list[str], told: str) -> None:
    assert told in str(refused(write(tmp_path, MINIMAL), *overrides))


def test_an_arm_named_twice_is_refused(tmp_path: Path) -> None:
    assert "names an arm twice" in str(refused(write(tmp_path, MINIMAL), "answer.arms=[base, base]"))


def test_a_study_written_out_loads_to_the_same(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, MINIMAL), ['answer.instructions="Sag\'s auf Dänisch: «ja»"', "retrieval.k=2"])
    written = dump_study(study)
    assert "rrf_constant: 60" in written
    (tmp_path / "other").mkdir()
    assert load_study(write(tmp_path / "other", written)) == study


def fields(group: type[BaseModel], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            found += fields(field.annotation, f"{prefix}{name}.")
        else:
            found.append((prefix + name, field.description))
    return found


def test_every_setting_says_what_it_is() -> None:
    described = fields(StudySettings)
    assert len(described) > 30
    assert [name for name, description in described if not description] == []


def test_settings_do_not_change() -> None:
    study = StudySettings.model_validate({"name": "a", "corpus": {"folder": "x"}})
    with pytest.raises(ValueError, match="frozen"):
        study.retrieval.k = 9  # type: ignore[misc]


def test_cit_reads_contexts_before_the_question() -> None:
    fields = {"name": "x", "corpus": {"folder": "pdfs"}, "tuning": {"objective": "cit"}}
    for position in ("before_question", "in_system"):
        StudySettings.model_validate({**fields, "answer": {"contexts": position}})
    with pytest.raises(ValidationError, match="before the question is read"):
        StudySettings.model_validate({**fields, "answer": {"contexts": "after_question"}})


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["tuning.objective=cit", "answer.contexts=after_question"], "cit"),
        (["questions.holdout.since=2024-13-45"], "not YAML"),
    ],
)
def test_settings_of_several_groups_and_dates_that_are_none_are_told(
    tmp_path: Path, overrides: list[str], said: str
) -> None:
    error = refused(write(tmp_path, MINIMAL), *overrides)
    assert said in str(error)
    assert "StudySettings" not in str(error)


def test_a_rerankers_folder_is_relative_to_the_study_file(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    (tmp_path / "own-reranker").mkdir()
    own = load_study(path, ["retrieval.reranker=own-reranker"]).retrieval.reranker
    assert own == str((tmp_path / "own-reranker").resolve())
    assert load_study(path, ["retrieval.reranker=train"]).retrieval.reranker == "train"
