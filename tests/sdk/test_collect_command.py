"""`manage.py collect`: becomes the SDK's collector with what the settings say."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.sdk.console import Console


def start(project_dir: Path, **settings: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "collect"],
        cwd=project_dir, env={**os.environ, **settings}, text=True, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_it_sends_with_the_token_of_the_settings(console: Console, project_dir: Path, tmp_path: Path) -> None:
    settings = {"CONSOLE_COLLECTOR_TOKEN": "obs_own", "CONSOLE_COLLECTOR_URL": console.url, "STATE_DIR": str(tmp_path)}
    with start(project_dir, **settings) as child:
        assert console.wait(1, 40.0)
        command = Path("/proc", str(child.pid), "cmdline").read_text()
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    assert console.requests[0]["Authorization"] == "Bearer obs_own"
    assert "obs_own" not in command
    assert {row["labels"]["service"] for row in console.rows if row["name"] == "process_resident_memory_bytes"}


def test_without_a_token_it_says_what_to_do(project_dir: Path, tmp_path: Path) -> None:
    with start(project_dir, CONSOLE_COLLECTOR_TOKEN="", STATE_DIR=str(tmp_path)) as child:
        _, said = child.communicate(timeout=40)
    assert child.returncode == 1
    assert "CONSOLE_COLLECTOR_TOKEN" in said
