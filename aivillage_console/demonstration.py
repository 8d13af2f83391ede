"""The demo run as the console starts it: tokens of its own, one run at a time, ending with whoever started it.

The demo itself (`demo/`) knows nothing of the console but its public doors; here it is given what it needs for them.
"""

import datetime
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from aivillage_console import env
from aivillage_console.accounts.models import ApiToken, Scope, TokenKind
from aivillage_console.accounts.services import Actor, Refused, source_named, token_issue, token_revoke

SOURCE = "demo"
TOKEN_SECONDS = 1800
# Two tokens: what runs for minutes and takes data in may only send; what configures is used by the narrator alone.
TOKENS: Mapping[str, tuple[Scope, ...]] = {
    "sender": (Scope.INGEST_METRICS, Scope.INGEST_SECURITY, Scope.INGEST_PIPELINES, Scope.BLOCKS),
    "conductor": (Scope.READ, Scope.RESPOND, Scope.WRITE, Scope.ADMIN),
}
LOCK_TRIES, LOCK_PAUSE_SECONDS = 5, 0.02
PROGRESS_BYTES = 64_000
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TERM", "NO_COLOR", "SSL_CERT_FILE", "SSL_CERT_DIR")


class AlreadyRuns(Refused):
    """Another demo run is at work."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the Setup page shows of the last demo run; `state` is empty when there was none."""

    running: bool
    state: str = ""
    lines: tuple[Mapping[str, str], ...] = ()


_started: list[subprocess.Popen[bytes]] = []


def folder(config: env.Config) -> Path:
    """Return the demo's directory below the state directory."""
    path = config.state_path.absolute() / "demo"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def running(config: env.Config) -> bool:
    """Tell whether a demo run holds the lock."""
    with (folder(config) / "lock").open("a", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def hold(config: env.Config) -> TextIO:
    """Return the held lock; the demo inherits it, so that it is free exactly when no demo runs."""
    handle = (folder(config) / "lock").open("a", encoding="ascii")
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # Perhaps only somebody who looks: `running` holds it for a moment.
            time.sleep(LOCK_PAUSE_SECONDS)
        else:
            return handle
    handle.close()
    raise AlreadyRuns("A demo run is at work already; wait for its end, or stop it with Ctrl-C where it was started.")


def issue(config: env.Config, *, actor: Actor, now: datetime.datetime) -> None:
    """Leave fresh tokens where the demo reads them, readable by their owner alone; those of earlier runs end."""
    expires_at = now + datetime.timedelta(seconds=TOKEN_SECONDS)
    for name, scopes in TOKENS.items():
        title = f"demo {name}"
        for token in ApiToken.objects.filter(name=title, source__name=SOURCE, revoked_at=None):
            token_revoke(token, actor=actor, now=now)
        _, plain = token_issue(
            name=title, kind=TokenKind.SERVICE, scopes=scopes, actor=actor, now=now, source=source_named(SOURCE),
            expires_at=expires_at,
        )  # fmt: skip
        file = folder(config) / f"{name}_token"
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as handle:
            handle.write(plain)


def command(config: env.Config, lock: TextIO, extra: list[str]) -> list[str]:
    """Return the program that runs the demo."""
    return [
        sys.executable, "-m", "demo", "--url", local_url(config), "--pages", config.public_url,
        "--folder", str(folder(config)), "--ports", ",".join(map(str, config.demo_ports)),
        "--lock", str(lock.fileno()), *extra,
    ]  # fmt: skip


def local_url(config: env.Config) -> str:
    """Return the address at which programs of this machine reach the console."""
    host = "127.0.0.1" if config.bind_address in ("0.0.0.0", "::", "") else config.bind_address  # noqa: S104 (compared)
    return f"http://{host}:{config.web_port}"


def environment() -> dict[str, str]:
    """Return what the demo may know of our environment: no address of a database, no key."""
    known = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**known, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUNBUFFERED": "1"}


def start(config: env.Config, *, actor: Actor, now: datetime.datetime) -> None:
    """Start a demo run beside this process; it ends when this process does. Raises AlreadyRuns."""
    with hold(config) as lock, (folder(config) / "output.log").open("wb") as output:
        issue(config, actor=actor, now=now)
        (folder(config) / "progress.json").unlink(missing_ok=True)
        process = subprocess.Popen(  # noqa: S603 (our own program)
            command(config, lock, ["--tied"]),
            cwd=env.BASE_DIR,
            env=environment(),
            # The demo watches this pipe: it closes when we end, however we end.
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )
    _reap()
    _started.append(process)


def _reap() -> None:
    """Take leave of runs that are over."""
    for process in [each for each in _started if each.poll() is not None]:
        if process.stdin:
            process.stdin.close()
        _started.remove(process)


def last_run(config: env.Config) -> Run:
    """Return how the demo run at work fares, or how the last one ended."""
    _reap()
    alive, found = running(config), _progress(folder(config) / "progress.json")
    state = str(found.get("state", ""))
    if state == "running" and not alive:
        state = "broken off"
    lines = [line for line in found.get("lines", ()) if isinstance(line, dict)]
    return Run(alive, state or ("running" if alive else ""), tuple(lines[-12:]))


def _progress(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes()[:PROGRESS_BYTES])
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
