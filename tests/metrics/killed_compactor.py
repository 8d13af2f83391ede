"""Compacts, and kills itself with SIGKILL at a named point of a named step."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import django

POINTS = ("before the write", "after the write", "before the commit", "after the commit")


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def rig(module: Any, point: str) -> None:
    """Put the death where the step would do its work."""
    name = "_write" if hasattr(module, "_write") else "_roll"
    write: Callable[..., None] = getattr(module, name)
    step: Callable[[], Any] = module.step

    def deadly_write(*arguments: Any) -> None:
        if point == "before the write":
            die()
        write(*arguments)
        if point == "after the write":
            die()

    @contextmanager
    def deadly_step() -> Iterator[Any]:
        with step() as cursor:
            yield cursor
            if point == "before the commit":
                die()
        if point == "after the commit":
            die()

    setattr(module, name, deadly_write)
    module.step = deadly_step


def main(step: str, point: str, now_ms: int) -> None:
    """Do one step under the lock."""
    django.setup()
    from metrics.store import compaction, rolling

    rig(rolling if step == "roll_days" else compaction, point)
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
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
