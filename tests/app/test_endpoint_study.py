"""A whole study whose model answers behind an endpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.openai_server import Asked, OpenAIServer, Reply, answer, listing
from support.scripted import scripted_reply, write_inputs

from fourfold.app.check import check_study
from fourfold.app.progress import Reporter
from fourfold.app.run import run_study
from fourfold.errors import ModelError, StudyError
from fourfold.study_file import load_study

QUICK = ("answer.arms=[base, rag]", "score.metrics=[key_fact_recall]")


def reply(asked: Asked) -> Reply:
    """Questions and answers for the questions stage; the fact itself where its passage stands in the prompt."""
    if asked.path.endswith("/models"):
        return listing("served", root="weights-1", max_model_len=4096)
    prompt = "\n".join(message["content"] for message in asked.body["messages"])
    return answer(scripted_reply(prompt) or ("It is every 4 hours." if "every 4 hours" in prompt else "Often."))


def endpoint(server: OpenAIServer, **more: object) -> str:
    return "model.endpoint=" + json.dumps({"urls": [server.url], "model": "served", **more})


def test_a_study_is_answered_by_the_server_and_a_second_run_asks_nothing(tmp_path: Path) -> None:
    path = write_inputs(tmp_path)
    with OpenAIServer(reply) as server:
        study = load_study(path, [*QUICK, endpoint(server)])
        done = run_study(study, tmp_path / "runs", cache=tmp_path / "cache", reporter=Reporter(quiet=True))
        n_asked = len(server.asked)
        again = run_study(study, tmp_path / "runs", cache=tmp_path / "cache", reporter=Reporter(quiet=True))
        assert (again.n_stages_run, len(server.asked)) == (0, n_asked)
    # Nor does it need the server.
    offline = run_study(study, tmp_path / "runs", cache=tmp_path / "cache", reporter=Reporter(quiet=True))
    assert offline.n_stages_run == 0
    assert done.report is not None
    assert done.report.base == "served, served by an OpenAI-compatible endpoint"
    means = {arm.arm: arm.metrics["key_fact_recall"].value for arm in done.report.arms}
    assert means["base"] == 0
    assert means["rag"] is not None
    assert means["rag"] > 0.5
    # As the server counts.
    assert {(arm.prompt_tokens, arm.answer_tokens) for arm in done.report.arms} == {(7, 2)}


def test_check_asks_the_server_and_tells_what_is_wrong(tmp_path: Path) -> None:
    path = write_inputs(tmp_path)
    with OpenAIServer(reply) as server:
        study = load_study(path, [*QUICK, endpoint(server)])
        found = {f.what: f for f in check_study(study, tmp_path / "runs", cache=tmp_path / "cache")}
        assert found["endpoint"].problem is None
        assert "weights-1" in str(found["endpoint"].found)
        other = load_study(path, [*QUICK, endpoint(server, key_variable="NOT_SET_ANYWHERE")])
        found = {f.what: f for f in check_study(other, tmp_path / "runs", cache=tmp_path / "cache")}
        assert isinstance(found["endpoint"].problem, ModelError)
        assert "NOT_SET_ANYWHERE" in str(found["endpoint"].problem)
    down = {f.what: f for f in check_study(study, tmp_path / "runs", cache=tmp_path / "cache")}
    assert isinstance(down["endpoint"].problem, ModelError)


def test_adapters_must_be_named_as_the_server_has_them(tmp_path: Path) -> None:
    path = write_inputs(tmp_path)
    with OpenAIServer(reply) as server:
        with pytest.raises(StudyError, match="adapters lacks tune"):
            load_study(path, [endpoint(server)])
        with pytest.raises(StudyError, match="adapters names other, which is not tuned"):
            load_study(path, [*QUICK, endpoint(server, adapters={"other": "x"})])
        assert load_study(path, [endpoint(server, adapters={"tune": "debian-adapter"})])
