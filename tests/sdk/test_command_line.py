"""The collector as a program of its own, as `manage.py collect` and any other host run it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.sdk.console import Console

COUNT = """
from prometheus_client import Counter, Gauge
Counter("console_work", "Work done.", ["kind"]).labels("dispatch").inc(3)
Counter("other_things", "Not asked for.").inc()
"""


def run(console: Console, *options: str, seconds: float = 20.0) -> int:
    """Run until the first batch arrived, stop it in order and return its status."""
    command = [sys.executable, "-m", "aivillage_observability", "--url", console.url, *options]
    environment = {**os.environ, "AIVILLAGE_CONSOLE_TOKEN": "obs_environment"}
    with subprocess.Popen(command, env=environment) as child:
        assert console.wait(1, seconds)
        child.send_signal(signal.SIGTERM)
        return child.wait(seconds)


def test_it_sends_this_host_and_ends_in_order(console: Console, tmp_path: Path) -> None:
    assert run(console, "--spool", str(tmp_path / "spool"), "--service", "alpha") == 0
    assert {row["name"] for row in console.rows} >= {"cpu_usage_percent", "memory_total_bytes"}
    assert console.requests[0]["Authorization"] == "Bearer obs_environment"
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_token_may_lie_in_a_file(console: Console, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("obs_file\n")
    assert run(console, "--token-file", str(tmp_path / "token")) == 0
    assert console.requests[0]["Authorization"] == "Bearer obs_file"


def test_it_adds_the_registry_and_the_memory_of_a_program(console: Console, tmp_path: Path) -> None:
    counting = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", COUNT], env=counting, check=True)
    options = ["--prometheus-directory", str(tmp_path), "--prometheus-prefix", "console_"]
    assert run(console, *options, "--process-tree", str(os.getpid())) == 0
    counted = {row["name"]: row for row in console.rows}
    assert counted["console_work_total"]["value"] == 3.0
    assert counted["console_work_total"]["labels"]["kind"] == "dispatch"
    assert "other_things_total" not in counted
    assert "test" in {
        row["labels"]["service"] for row in console.rows if row["name"] == "process_resident_memory_bytes"
    }


def test_the_token_is_not_an_option() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aivillage_observability", "--token", "obs_x"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 2
