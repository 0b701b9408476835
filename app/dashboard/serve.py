"""Serving the page: on this machine only, and telling nobody."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import sys
from pathlib import Path

from fourfold.app.dashboard.results import newest_runs
from fourfold.errors import InputError


def serve(runs: Path, *, port: int, address: str) -> None:
    """Print the dashboard's address and serve it until it is stopped.

    Args:
        runs: the working folder.
        port: 1 to 65535.
        address: to listen on.

    Raises:
        InputError: Streamlit is not installed, or the port is taken.
        StoreError: there is nothing to show.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise InputError(
            "the dashboard is not installed",
            seen="no package streamlit",
            expected="fourfold with its extra 'dashboard'",
            hint="pip install 'fourfold[dashboard]'",
        )
    newest_runs(runs)
    _require_free(address, port)
    from streamlit.web.cli import main

    settings = {
        "server.address": address,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        # A page of elsewhere that names itself as this machine is turned away.
        "server.allowedHosts": "127.0.0.1",
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": "127.0.0.1",
        "client.toolbarMode": "minimal",
        "logger.hideWelcomeMessage": "true",
        "theme.base": "light",
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    print(f"http://127.0.0.1:{port}", flush=True)
    page = Path(__file__).with_name("page.py")
    # What Streamlit says is for people; stdout holds the address only.
    with contextlib.redirect_stdout(sys.stderr):
        main(["run", str(page), *flags, "--server.allowedHosts=localhost", "--", str(runs)], standalone_mode=False)


def _require_free(address: str, port: int) -> None:
    with socket.socket() as probe:
        # As the server does: a port that a closed connection still lingers on is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise InputError(
                "the dashboard cannot listen there",
                seen=f"{address}:{port}: {error.strerror}",
                expected="a port that no other program uses",
                hint="stop the other program, or name another port with --port",
            ) from error
