"""Other products beside the console, where their programs are installed: started fresh, on loopback, one at a time."""

import contextlib
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.harness import free_port

START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Peer:
    """A running product that takes remote write and answers Prometheus' queries."""

    name: str
    port: int
    process: psutil.Process
    nocache: bool
    data: Path

    def cpu_seconds(self) -> float:
        """Return the processor time it has used."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


def _prometheus(root: Path, port: int) -> list[str]:
    (root / "prometheus.yml").write_text("global: {scrape_interval: 15s}\n")
    return [
        "prometheus", f"--config.file={root}/prometheus.yml", f"--storage.tsdb.path={root}/data",
        "--web.enable-remote-write-receiver", f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=365d", "--log.level=error", "--query.max-samples=500000000",
        "--web.enable-admin-api",
    ]  # fmt: skip


def _victoria(root: Path, port: int) -> list[str]:
    return [
        "victoria-metrics", f"-storageDataPath={root}/data", f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=12", "-loggerLevel=ERROR",
    ]  # fmt: skip


COMMANDS: dict[str, tuple[Callable[[Path, int], list[str]], str]] = {
    "prometheus": (_prometheus, "/-/ready"),
    "victoria-metrics": (_victoria, "/health"),
}


def installed() -> list[str]:
    """Return the programs that are there."""
    return [name for name in COMMANDS if shutil.which(name)]


def version(name: str) -> str:
    """Return the version a program says it has."""
    done = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+|v\d+\.\d+", done.stdout + done.stderr)
    return found.group() if found else "?"


def _ready(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=1).is_success
    return False


@contextlib.contextmanager
def running(name: str, prepare: Callable[[Path, int], None] = lambda _root, _port: None) -> Iterator[Peer]:
    """Start a peer on empty files; stop it and remove them at the end.

    `prepare` gets its directory and its port once the command's own files are written, and may write over them.
    """
    command, ready = COMMANDS[name]
    root, port = Path(tempfile.mkdtemp(prefix="aivillage-peer-")), free_port()
    arguments = command(root, port)
    prepare(root, port)
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
    try:
        end = time.monotonic() + START_SECONDS
        while not _ready(f"http://127.0.0.1:{port}{ready}"):
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError(f"{name} did not start: {(root / 'log').read_text()[-500:]}")
            time.sleep(0.1)
        yield Peer(name, port, psutil.Process(process.pid), name == "victoria-metrics", root / "data")
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(root, ignore_errors=True)
