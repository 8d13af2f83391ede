"""Resident memory of a family of processes by the role each one plays."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

import psutil

ROLE_VARIABLE = "ROLE"
TITLE_PREFIX = "aivillage-console: "


def resident_by_role(root_pid: int) -> Callable[[], Mapping[str, int]]:
    """Return a reader that adds up resident memory below `root_pid` by its title or the environment variable ROLE.

    A process without either goes by the name of its program. The role of a process is read once: neither changes,
    and reading them is the costly part.
    """
    roles: dict[tuple[int, float], str] = {}

    def read() -> Mapping[str, int]:
        sizes: Counter[str] = Counter()
        alive: set[tuple[int, float]] = set()
        with suppress(psutil.Error):
            root = psutil.Process(root_pid)
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.Error):
                    key = (process.pid, process.create_time())
                    alive.add(key)
                    if key not in roles:
                        roles[key] = role_of(process)
                    sizes[roles[key]] += int(process.memory_info().rss)
        for gone in set(roles) - alive:
            del roles[gone]
        return sizes

    return read


def role_of(process: psutil.Process) -> str:
    """Return the role a process shows in its title or was started for, else the name of its program."""
    title = (process.cmdline() or [""])[0]
    if title.startswith(TITLE_PREFIX):
        return title.removeprefix(TITLE_PREFIX).split()[0]
    return process.environ().get(ROLE_VARIABLE, "") or process.name()
