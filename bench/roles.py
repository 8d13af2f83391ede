"""The processes of a running console by the role each one plays, for whoever wants to kill one."""

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil

from aivillage_observability.processes import role_of
from bench.harness import TREE, Console

SERVERS = ("postgres", "valkey-server")


def by_role(console: Console) -> dict[str, list[psutil.Process]]:
    """Return the processes below the supervisor: by role, and the two servers by their names."""
    found: dict[str, list[psutil.Process]] = {}
    for process in console.tree()[1:]:
        with suppress(psutil.Error):
            name = process.name()
            role = name if name in SERVERS else role_of(process)
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


def environment(console: Console) -> dict[str, str]:
    """Return the environment of the roles: what the supervisor was given, and what it left for its neighbours."""
    lines = (console.root / "local.env").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines)
    return {**psutil.Process(console.process.pid).environ(), **found}


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
