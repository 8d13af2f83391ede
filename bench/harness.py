"""What every benchmark shares: arguments, a line a figure, peers side by side, and one machine-readable last line."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

TREE = Path(__file__).resolve().parents[1]
READY_SECONDS = 120.0
STOP_SECONDS = 60.0


@dataclass
class Report:
    """The figures of one benchmark, printed as they come and once more as JSON at the end."""

    name: str
    quick: bool
    json_path: Path | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    def figure(
        self, label: str, value: float | str, unit: str = "", *, peers: Mapping[str, float] | None = None
    ) -> None:
        """Print one figure; `peers` are the same figure of other products, shown as ours divided by theirs."""
        shown = f"{value:,.4g}" if isinstance(value, float) else str(value)
        ratios = "".join(f"  [{peer} {of:,.4g}: x{float(value) / of:.2f}]" for peer, of in (peers or {}).items() if of)
        print(f"{label:<58} {shown:>12} {unit}{ratios}", flush=True)
        self.figures[label] = {"value": value, "unit": unit, **({"peers": dict(peers)} if peers else {})}

    def note(self, text: str) -> None:
        """Print a sentence on method or circumstance."""
        print(f"# {text}", flush=True)

    def finish(self) -> None:
        """Print the result line, and write it to the file asked for."""
        document = {"bench": self.name, "quick": self.quick, "cpus": os.cpu_count(), "figures": self.figures}
        if self.json_path:
            self.json_path.write_text(json.dumps(document, indent=2) + "\n")
        print(f"result: {json.dumps(document)}", flush=True)


def report_from_arguments(name: str, description: str) -> Report:
    """Read `--quick` and `--json FILE`."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=description)
    parser.add_argument("--quick", action="store_true", help="a smaller run, under 60 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to FILE")
    arguments = parser.parse_args()
    return Report(name, arguments.quick, arguments.json)


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Console:
    """A whole console of its own, started as `make run` starts it, with files in a directory that goes away."""

    process: subprocess.Popen[bytes]
    root: Path
    url: str
    log_path: Path
    started_seconds: float

    def tree(self) -> list[psutil.Process]:
        """Return the supervisor and everything below it."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]


def _wait_ready(console: Console) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if console.process.poll() is not None:
            raise RuntimeError(f"the console ended while starting:\n{console.log_path.read_text()[-4000:]}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{console.url}/-/ready", timeout=2).status_code == httpx.codes.OK:
                return
        time.sleep(0.2)
    raise RuntimeError(f"the console was not ready in {READY_SECONDS:g} s:\n{console.log_path.read_text()[-4000:]}")


@contextlib.contextmanager
def running_console(environment: Mapping[str, str] | None = None) -> Iterator[Console]:
    """Start a console on free ports with embedded services; stop it and remove its files at the end."""
    root = Path(tempfile.mkdtemp(prefix="aivillage-bench-"))
    root.chmod(0o755)
    web_port = free_port()
    env = {
        **{k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL", "STATE_DIR")},
        "STATE_DIR": str(root),
        "WEB_PORT": str(web_port),
        "SOCKETS_PORT": str(free_port()),
        "PUBLIC_URL": f"http://127.0.0.1:{web_port}",
        **(environment or {}),
    }
    log_path = root / "console.log"
    begun = time.monotonic()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "aivillage_console.dev"], cwd=TREE, env=env, stdout=log, stderr=log
        )
    console = Console(process, root, f"http://127.0.0.1:{web_port}", log_path, 0.0)
    try:
        _wait_ready(console)
        console.started_seconds = time.monotonic() - begun
        yield console
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        shutil.rmtree(root, ignore_errors=True)
