"""`make run` as its user meets it: over the real supervisor and its real processes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from bench.harness import TREE, Console, running_console
from bench.roles import by_role, kill

pytestmark = pytest.mark.timeout(180)
PATIENCE_SECONDS = 30.0
LINK = re.compile(r"http://127\.0\.0\.1:\d+(/sign-in/\S+)")


def eventually(what: Callable[[], object]) -> bool:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    with running_console() as running:
        yield running


def log_of(console: Console) -> str:
    return console.log_path.read_text(errors="replace")


def ready(console: Console) -> bool:
    try:
        return httpx.get(f"{console.url}/-/ready", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def run_beside(console: Console, **environment: str) -> subprocess.CompletedProcess[str]:
    """Try to start a second console with some of the settings of the first."""
    return subprocess.run(
        [sys.executable, "-m", "aivillage_console.dev"],
        cwd=TREE,
        env={**os.environ, "DATABASE_URL": "", "REDIS_URL": "", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_prints_where_it_is_and_a_link_to_get_in(console: Console) -> None:
    assert eventually(lambda: LINK.search(log_of(console)))
    assert f"at {console.url}" in log_of(console)


def test_the_link_signs_in_once_and_then_is_dead(console: Console) -> None:
    assert eventually(lambda: LINK.search(log_of(console)))
    path = LINK.search(log_of(console)).group(1)  # type: ignore[union-attr]
    with httpx.Client(base_url=console.url, follow_redirects=True, headers={"Origin": console.url}) as browser:
        page = browser.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, page.text
        signed_in = browser.post(path, data={"csrfmiddlewaretoken": token.group(1)})
        assert signed_in.status_code == httpx.codes.OK
        assert "Overview" in browser.get("/").text
    with httpx.Client(base_url=console.url) as stranger:
        assert stranger.get(path).status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE)


@pytest.mark.parametrize(
    "role", ["web", "worker", "dispatcher", "evaluator", "compactor", "scraper", "sockets", "beat", "collector"]
)
def test_a_killed_role_comes_back(console: Console, role: str) -> None:
    assert eventually(lambda: by_role(console).get(role))
    before = {process.pid for process in by_role(console)[role]}
    for process in by_role(console)[role]:
        process.kill()
    assert eventually(lambda: {p.pid for p in by_role(console).get(role, [])} - before)
    assert eventually(lambda: ready(console))


@pytest.mark.parametrize("server", ["postgres", "valkey-server"])
def test_a_killed_server_comes_back(console: Console, server: str) -> None:
    before = {process.pid for process in by_role(console)[server]}
    assert kill(by_role(console)[server])
    assert eventually(lambda: {p.pid for p in by_role(console).get(server, [])} - before)
    assert eventually(lambda: ready(console))


def test_a_second_run_of_the_same_tree_is_refused_by_name(console: Console) -> None:
    refused = run_beside(console, STATE_DIR=str(console.root))
    assert refused.returncode != 0
    assert f"process {console.process.pid}" in refused.stderr
    assert "STATE_DIR" in refused.stderr


def test_a_busy_port_is_named_with_a_way_out(console: Console, tmp_path: Path) -> None:
    port = console.url.rsplit(":", 1)[1]
    refused = run_beside(console, STATE_DIR=str(tmp_path), WEB_PORT=port)
    assert refused.returncode != 0
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "WEB_PORT=" in refused.stderr


def test_a_hard_kill_of_the_supervisor_leaves_nobody_behind_and_the_next_start_keeps_the_data() -> None:
    fresh = {"SECRET_KEY": ""}
    with running_console(fresh) as first:
        key = (first.root / "secret_key").read_text()
        data = (first.root / "postgres" / "PG_VERSION").stat().st_mtime
        children = psutil.Process(first.process.pid).children(recursive=True)
        first.process.kill()
        first.process.wait()
        gone, alive = psutil.wait_procs(children, timeout=PATIENCE_SECONDS)
        assert (len(gone), alive) == (len(children), [])
        with running_console({**fresh, "STATE_DIR": str(first.root)}) as second:
            assert (first.root / "secret_key").read_text() == key
            assert (first.root / "postgres" / "PG_VERSION").stat().st_mtime == data
            assert second.process.poll() is None


def test_it_stops_in_order_when_asked() -> None:
    with running_console() as console:
        children = psutil.Process(console.process.pid).children(recursive=True)
        console.process.send_signal(signal.SIGINT)
        assert console.process.wait(PATIENCE_SECONDS) == 0
        stops = re.findall(r"stopping (\w+)", log_of(console))
        _, alive = psutil.wait_procs(children, timeout=5)
    order = [
        "beat",
        "collector",
        "compactor",
        "scraper",
        "evaluator",
        "dispatcher",
        "worker",
        "sockets",
        "web",
        "valkey",
        "postgres",
    ]
    assert stops == order
    assert alive == []
