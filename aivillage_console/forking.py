"""Roles as forks of one preloaded parent.

Every role needs Django, most need Celery and the kernels: loaded once in the supervisor and shared by the kernel's
copy-on-write pages, they cost their memory and two seconds of start-up once instead of once a role, and a killed role
is back at once. What must not be shared (connections, threads, signal handlers) is not made before the fork.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, cast

import django
from setproctitle import getproctitle, setproctitle

from aivillage_console.embedded import die_with_parent

TITLE = "aivillage-console: "
# The library finds the place of the title by way of the environment's, which moves when it grows: so it looks now. It
# is told to leave the environment's place alone, where whoever watches the processes reads what they were started with.
os.environ.setdefault("SPT_NOENV", "1")
getproctitle()
WAIT_STEP_SECONDS = 0.01
# Loaded before the first fork; the WSGI and ASGI entries are left out, for they tie themselves to their own parent.
PRELOADED = (
    "aivillage_console.urls",
    "aivillage_console.celery",
    "aivillage_console.accounts.consumers",
    "alerts.tasks",
    "alerts.sweeping",
    "security.tasks",
    "health.tasks",
    "forge_dashboard.hooks",
    "metrics.store.compaction",
    "metrics.scrape.scraper",
    "channels_redis.pubsub",
    "celery.bin.celery",
    "celery.worker.worker",
    "celery.concurrency.thread",
    "django_celery_beat.schedulers",
    "kombu.transport.redis",
    "granian.server",
    "uvicorn.main",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvicorn.loops.auto",
)
# The number by which glibc's mallopt knows the greatest number of arenas.
M_ARENA_MAX = -8
TERMINATING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def preload(environment: Mapping[str, str]) -> None:
    """Load what the roles share. Call it once, with one thread and before any connection is made."""
    os.environ.update(environment)
    limit_arenas(int(environment.get("MALLOC_ARENA_MAX", "0")))
    setproctitle(f"{TITLE}supervisor")
    sys.path.insert(0, str(Path.cwd()))
    django.setup(set_prefix=False)
    for name in PRELOADED:
        importlib.import_module(name)
    if threading.active_count() != 1:
        raise RuntimeError(f"a preloaded module started threads: {threading.enumerate()}")
    gc.collect()
    # Frozen objects are not walked by the collector, so their pages stay shared.
    gc.freeze()


def limit_arenas(most: int) -> bool:
    """Tell the allocator of this process and its forks how many arenas to use; 0 leaves it alone, false: it cannot.

    It reads MALLOC_ARENA_MAX only where a program begins, which a fork does not. Each thread that gets an arena of its
    own keeps the largest it ever needed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(most and mallopt is not None and mallopt(M_ARENA_MAX, most))


class ForkedProcess:
    """A forked child with the part of `subprocess.Popen` that the supervisor uses."""

    def __init__(self, pid: int, stdout: BinaryIO | None) -> None:
        self.pid, self.stdout = pid, stdout
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises `subprocess.TimeoutExpired`."""
        until = time.monotonic() + timeout if timeout is not None else None
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired(TITLE, timeout or 0.0)
            time.sleep(WAIT_STEP_SECONDS)
        return code

    def terminate(self) -> None:
        """Ask it to end."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)


def fork(
    command: Sequence[str], environment: Mapping[str, str], *, role: str, close: Callable[[], None]
) -> ForkedProcess:
    """Run a command line of Python (`-m module words…` or `script words…`) in a fork.

    `close` is called in the child and closes what belongs to the parent alone.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    tie = die_with_parent()
    pid = os.fork()
    if pid:
        os.close(writing)
        return ForkedProcess(pid, os.fdopen(reading, "rb", buffering=0))
    code = 1
    try:
        tie()
        os.close(reading)
        close()
        _become(role, environment, writing)
        code = _run(command)
    except BaseException:  # noqa: BLE001 - nothing of the parent may run on in the child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _become(role: str, environment: Mapping[str, str], output: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in TERMINATING:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.update(environment)
    setproctitle(TITLE + role)
    # Named here and not at the top: settings exist only once the services they name are up.
    importlib.import_module("aivillage_console.roles").take(role)


def _run(command: Sequence[str]) -> int:
    words = list(command)
    while words[0] == "-W":
        action, _, message = words[1].partition(":")
        warnings.filterwarnings(cast("Literal['ignore']", action), message=re.escape(message))
        words = words[2:]
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as leaving:
        if isinstance(leaving.code, str):
            sys.stderr.write(leaving.code + "\n")
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0
