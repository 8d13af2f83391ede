"""The processes of a running console by the role each one plays, for whoever wants to kill one."""

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil

from bench.harness import TREE, Console

SERVERS = ("postgres", "valkey-server")


def by_role(console: Console) -> dict[str, list[psutil.Process]]:
    """Return the processes below the supervisor: by their ROLE, and the two servers by their names."""
    found: dict[str, list[psutil.Process]] = {}
    for process in console.tree()[1:]:
        with suppress(psutil.Error):
            name = process.name()
            role = name if name in SERVERS else process.environ().get("ROLE", name)
            found.setdefault(role, []).append(process)
    return found


def kill(processes: list[psutil.Process]) -> int:
    """Kill -9 them all; returns how many were alive."""
    killed = 0
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
            killed += 1
    return killed


def environment(console: Console, role: str = "web") -> dict[str, str]:
    """Return the environment of a role: its database, its broker and its secret key."""
    for process in by_role(console).get(role, []):
        with suppress(psutil.Error):
            return dict(process.environ())
    raise RuntimeError(f"the console runs no process with the role {role!r}")


def furnish(env: Mapping[str, str], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Put tokens, channels, policies and rules into the console whose environment is given."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.furnish"],
        cwd=TREE, env={**env, "ROLE": "bench"}, input=json.dumps(wanted), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the console could not be furnished:\n{done.stderr[-3000:]}")
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made
