"""Compacts, and at a named point of a named step kills with SIGKILL: itself, or PostgreSQL if its process is given."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import django
import psutil

POINTS = ("before the write", "after the write", "before the commit", "after the commit")


def die() -> NoReturn:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def kill_server(pid: int) -> None:
    """Kill a server and all its children, so that nobody finishes what was begun."""
    with suppress(psutil.NoSuchProcess):
        server = psutil.Process(pid)
        server.suspend()
        for process in [*server.children(recursive=True), server]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def rig(module: Any, point: str, kill: Callable[[], None]) -> None:
    """Put the death where the step would do its work."""
    name = "_write" if hasattr(module, "_write") else "_roll"
    write: Callable[..., None] = getattr(module, name)
    step: Callable[[], Any] = module.step

    def deadly_write(*arguments: Any) -> None:
        if point == "before the write":
            kill()
        write(*arguments)
        if point == "after the write":
            kill()

    @contextmanager
    def deadly_step() -> Iterator[Any]:
        with step() as cursor:
            yield cursor
            if point == "before the commit":
                kill()
        if point == "after the commit":
            kill()

    setattr(module, name, deadly_write)
    module.step = deadly_step


def main(step: str, point: str, now_ms: int, server: int) -> None:
    """Do one step under the lock; `server` is the process to kill, 0 for this one."""
    django.setup()
    from metrics.store import compaction, rolling  # noqa: PLC0415 - only now is Django set up

    rig(rolling if step == "roll_days" else compaction, point, (lambda: kill_server(server)) if server else die)
    steps: dict[str, Callable[[], object]] = {
        "compact_once": compaction.compact_once,
        "pack_windows": lambda: compaction.pack_windows(now_ms=now_ms),
        "pack_days": lambda: compaction.pack_days(now_ms=now_ms),
        "roll_days": lambda: rolling.roll_days(now_ms=now_ms),
    }
    with compaction.compactor_lock() as held:
        if held:
            steps[step]()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
