"""The index stage: what a changed corpus costs, and where vectors stand."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from support import memory_qdrant
from support.pdfs import Text, pdf_bytes
from support.questions import make_question
from support.tiny import make_tiny_model
from support.tiny_cross_encoder import make_cross_encoder

from fourfold.app.context import Context
from fourfold.app.pipeline import Stage, run_stages
from fourfold.app.progress import Reporter
from fourfold.app.reranker import reranker_of
from fourfold.app.stages import index, ingest
from fourfold.app.vector_server import describe_server, server_of
from fourfold.embed.cache import CachedEmbedder
from fourfold.errors import StoreError, StudyError, SystemFaultError
from fourfold.llm.weights import find_embedder
from fourfold.store import Draft, Store
from fourfold.study import CorpusSettings, IndexSettings, ModelSettings, RetrievalSettings, StudySettings

STAGES: list[Stage] = [ingest.STAGE, index.STAGE]
KEY = "a-secret-of-the-server"


def write_pdf(path: Path, word: str, n_pages: int = 3) -> None:
    pages = [
        [Text(72, 100 + 14 * line, f"The {word} of page {page} is checked in week {line + page}.") for line in range(9)]
        for page in range(n_pages)
    ]
    path.write_bytes(pdf_bytes(pages))


@pytest.fixture
def study(tmp_path: Path) -> StudySettings:
    corpus = tmp_path / "pdfs"
    corpus.mkdir()
    for word in ("boiler", "sluice"):
        write_pdf(corpus / f"{word}.pdf", word)
    make_tiny_model(tmp_path / "model")
    return StudySettings(
        name="s",
        corpus=CorpusSettings(folder=corpus, ocr="off"),
        model=ModelSettings(id=str(tmp_path / "model"), dtype="float32", quantisation="none"),
        index=IndexSettings(chunk_tokens=96, chunk_overlap=0),
        retrieval=RetrievalSettings(k=1),
    )


def run(study: StudySettings, runs: Path, environment: dict[str, str] | None = None) -> tuple[dict[str, int], int, str]:
    """The index stage's summary, how many passages were embedded, and what was said."""
    said = io.StringIO()
    with Store.open(runs) as store:
        context = Context(study=study, store=store, reporter=Reporter(said), cache=runs, environment=environment or {})
        run_stages(context, STAGES)
        embedder = context.embedder
        assert isinstance(embedder, CachedEmbedder)
        return dict(context.results["index"].summary), embedder.n_computed, said.getvalue()


def test_only_a_changed_documents_chunks_are_embedded_and_written(study: StudySettings, tmp_path: Path) -> None:
    corpus, runs = tmp_path / "pdfs", tmp_path / "runs"
    first, n_embedded, _ = run(study, runs)
    assert n_embedded == first["n_chunks"] == first["n_written"] > 4
    write_pdf(corpus / "turbine.pdf", "turbine")
    added, n_embedded, said = run(study, runs)
    assert n_embedded == added["n_written"] == added["n_chunks"] - first["n_chunks"]
    assert added["n_removed"] == 0
    assert f"{added['n_written']} of them new" in said
    (corpus / "sluice.pdf").unlink()
    deleted, n_embedded, _ = run(study, runs)
    assert (n_embedded, deleted["n_written"]) == (0, 0)
    assert deleted["n_removed"] == added["n_chunks"] - deleted["n_chunks"] > 0


def test_other_chunk_settings_begin_anew(study: StudySettings, tmp_path: Path) -> None:
    run(study, tmp_path / "runs")
    other = study.model_copy(update={"index": IndexSettings(chunk_tokens=64, chunk_overlap=0)})
    summary, _, _ = run(other, tmp_path / "runs")
    assert (summary["n_written"], summary["n_removed"]) == (summary["n_chunks"], 0)


def test_vectors_go_to_the_server_that_the_environment_names(
    study: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = memory_qdrant.use(monkeypatch)
    runs = tmp_path / "runs"
    environment = {"QDRANT_URL": "http://127.0.0.1:6333", "QDRANT_API_KEY": KEY}
    summary, _, _ = run(study, runs, environment)
    (collection,) = server.engine.get_collections().collections
    assert collection.name.startswith("fourfold-s-")
    assert server.engine.count(collection.name).count == summary["n_chunks"]
    assert not list(runs.glob("blobs/index-*/qdrant"))
    write_pdf(tmp_path / "pdfs" / "turbine.pdf", "turbine")
    (tmp_path / "pdfs" / "sluice.pdf").unlink()
    changed, _, _ = run(study, runs, environment)
    assert 0 < changed["n_written"] < changed["n_chunks"]
    assert changed["n_removed"] > 0
    assert server.engine.count(collection.name).count == changed["n_chunks"]
    for path in runs.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def context_of(study: StudySettings, tmp_path: Path, environment: dict[str, str]) -> Context:
    with Store.open(tmp_path / "runs") as store:
        return Context(study=study, store=store, reporter=Reporter(quiet=True), cache=tmp_path, environment=environment)


@pytest.mark.parametrize("url", ["127.0.0.1:6333", "ftp://host", "http://", "http://user:word@host:6333"])
def test_an_address_that_is_none_is_refused(study: StudySettings, tmp_path: Path, url: str) -> None:
    with pytest.raises(StudyError, match="address of the Qdrant server") as error:
        server_of(context_of(study, tmp_path, {"QDRANT_URL": url}))
    assert "word" not in str(error.value)


def test_eight_bit_vectors_need_a_server(study: StudySettings, tmp_path: Path) -> None:
    eight_bit = study.model_copy(update={"index": IndexSettings(quantisation="int8")})
    with pytest.raises(StudyError, match="8-bit vectors need"):
        server_of(context_of(eight_bit, tmp_path, {}))
    server = server_of(context_of(eight_bit, tmp_path, {"QDRANT_URL": "https://qdrant.example"}))
    assert server is not None
    assert server.quantisation == "int8"


def test_each_study_embedder_and_store_has_a_collection_of_its_own(study: StudySettings, tmp_path: Path) -> None:
    environment = {"QDRANT_URL": "http://127.0.0.1:6333"}
    others = [
        context_of(study, tmp_path, environment),
        context_of(study.model_copy(update={"name": "t"}), tmp_path, environment),
        context_of(study, tmp_path / "elsewhere", environment),
        context_of(study.model_copy(update={"index": IndexSettings(query_prompt="q: ")}), tmp_path, environment),
    ]
    names = [server.collection for context in others if (server := server_of(context)) is not None]
    assert len(set(names)) == 4
    assert server_of(context_of(study, tmp_path, {"QDRANT_URL": ""})) is None


def test_a_server_is_named_with_its_version_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    environment, settings = {"QDRANT_URL": "http://127.0.0.1:6333"}, IndexSettings()
    assert describe_server({}, settings) is None
    server = memory_qdrant.use(monkeypatch)
    found = describe_server(environment, settings)
    assert found is not None
    assert found.endswith("at http://127.0.0.1:6333")
    server.faults = [memory_qdrant.unreachable()] * 2
    with pytest.raises(SystemFaultError, match="does not answer"):
        describe_server(environment, settings)
    assert len(server.faults) == 1
    server.faults = [memory_qdrant.refusal(401)]
    with pytest.raises(StoreError, match="refuses the key"):
        describe_server(environment, settings)
    monkeypatch.setattr("fourfold.app.vector_server._OLDEST", (99, 0))
    with pytest.raises(StoreError, match="too old"):
        describe_server(environment, settings)


def with_reranker(study: StudySettings, name: str) -> StudySettings:
    return study.model_copy(update={"retrieval": RetrievalSettings(k=1, candidates=8, reranker=name)})


def test_answers_depend_on_the_reranker_itself_and_not_on_its_name(study: StudySettings, tmp_path: Path) -> None:
    named = with_reranker(study, str(tmp_path / "reranker"))
    digests = []
    for seed in (0, 0, 1):
        make_cross_encoder(tmp_path / "reranker", seed=seed)
        with Store.open(tmp_path / "runs") as store:
            context = Context(study=named, store=store, reporter=Reporter(quiet=True), cache=tmp_path, environment={})
            run_stages(context, STAGES)
            digests.append(context.results["index"].digest)
            assert reranker_of(context) is not None
    assert digests[0] == digests[1] != digests[2]


def test_a_reranker_is_trained_on_the_tuning_questions(
    study: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = find_embedder(str(make_cross_encoder(tmp_path / "base")))
    monkeypatch.setattr("fourfold.app.stages.index.find_embedder", lambda _: base)
    with Store.open(tmp_path / "runs") as store:
        context = Context(
            study=with_reranker(study, "train"), store=store, reporter=Reporter(quiet=True), cache=tmp_path,
            environment={},
        )  # fmt: skip
        run_stages(context, [ingest.STAGE])
        keys = set()
        for number in (1, 2):
            own = [
                make_question(
                    f"q{at}", doc_id=block.doc_id, start=block.start, end=block.start + 30, question=block.text
                )
                for at, block in enumerate(context.blocks[:number])
            ]
            draft = Draft(
                key=f"questions-{number}", stage="questions", settings={}, inputs={}, content={}, summary={},
                provenance={}, seconds=0.0,
            )  # fmt: skip
            context.results["questions"] = store.put(draft, own)
            run_stages(context, [index.STAGE])
            keys.add(context.results["index"].key)
            (reranker, order) = reranker_of(context), range(len(context.chunks))
            assert reranker is not None
            assert sorted(reranker.rerank("the boiler", context.chunks)) == list(order)
    assert len(keys) == 2
