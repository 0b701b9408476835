"""The dashboard in a real browser: it is drawn, nothing is asked of any other machine, and the console is quiet."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from app.conftest import Finished

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    BROWSER is None or DRIVER is None,
    reason="chromium and chromedriver (Debian: chromium, chromium-driver) are missing",
)


@pytest.fixture
def address(finished: Finished) -> Iterator[str]:
    """A dashboard that is being served; ended by Ctrl-C's signal."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).with_name("fourfold"), "dashboard", "--runs", finished.runs, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            told = server.stdout.readline().strip()
            assert told == f"http://127.0.0.1:{port}"
            _wait_until_healthy(told)
            yield told
        finally:
            server.send_signal(signal.SIGINT)
            rest, errors = server.communicate(timeout=30)
    assert (rest, server.returncode) == ("", 0), errors


def _wait_until_healthy(address: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
                assert answer.read() == b"ok"
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the dashboard did not come up")


def test_the_page_is_drawn_and_asks_nothing_of_another_machine(address: str, finished: Finished) -> None:
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    assert DRIVER is not None
    assert finished.done.report is not None
    report = finished.done.report
    options = ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,4200"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with Chrome(options=options, service=ChromeService(DRIVER)) as browser:
        browser.get(address)

        def page() -> str:
            return browser.find_element(By.TAG_NAME, "body").text

        WebDriverWait(browser, 60).until(lambda _: report.sentence.split(". ")[0] in page())
        WebDriverWait(browser, 60).until(lambda _: browser.find_elements(By.CSS_SELECTOR, "[data-testid=stText]"))
        for drawn in (
            "[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg",
            "[data-testid=stTable] table",
        ):
            WebDriverWait(browser, 60).until(
                lambda _, drawn=drawn: len(browser.find_elements(By.CSS_SELECTOR, drawn)) == 2
            )
        shown = page()
        if picture := os.environ.get("FOURFOLD_TEST_SCREENSHOT"):
            browser.save_screenshot(picture)
        events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        complaints = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert all(arm.arm in shown for arm in report.arms)
    assert report.questions[0].quote.split(" says")[0] in shown
    asked = [_asked(event) for event in events]
    hosts = {
        urlsplit(url).netloc for url in asked if url and not url.startswith(("data:", "blob:", "about:", "chrome"))
    }
    assert hosts == {urlsplit(address).netloc}
    assert complaints == []


def _asked(event: dict[str, Any]) -> str | None:
    """The address of a request or of a web socket that an entry of the performance log is about."""
    if event["method"] == "Network.requestWillBeSent":
        return str(event["params"]["request"]["url"])
    if event["method"] == "Network.webSocketCreated":
        return str(event["params"]["url"])
    return None
