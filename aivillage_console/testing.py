"""pytest plug-in: real PostgreSQL and Valkey, started before Django's settings are read.

Each pytest process has servers and files of its own, so several may run at once.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from aivillage_console.embedded import PostgresServer, Server, ValkeyServer

PREFIX = "aivillage-test-"
SECRET_KEY = "tests-only-" + "0123456789" * 5


def _alive(pid: int) -> bool:
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


def sweep_leftovers() -> None:
    """Remove the directories of sessions that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = path.name.removeprefix(PREFIX).split("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def start_services(root: Path, *, durable: bool = False) -> list[Server]:
    """Start what the environment does not name, and put its URLs there."""
    servers: list[Server] = []
    if not os.environ.get("DATABASE_URL"):
        postgres = PostgresServer(root, durable=durable)
        os.environ["DATABASE_URL"] = postgres.start()
        servers.append(postgres)
    if not os.environ.get("REDIS_URL"):
        valkey = ValkeyServer(root, durable=durable)
        os.environ["REDIS_URL"] = valkey.start()
        servers.append(valkey)
    return servers


def scratch_dir() -> Path:
    """Return a fresh directory that the server account can walk into."""
    root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    root.chmod(0o755)
    return root


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start the services and take them down with the session."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aivillage_console.settings")
    os.environ.setdefault("SECRET_KEY", SECRET_KEY)
    os.environ["ROLE"] = "test"
    sweep_leftovers()
    root = scratch_dir()
    os.environ["STATE_DIR"] = str(root / "state")
    (root / "state").mkdir(mode=0o700)
    early_config.add_cleanup(lambda: shutil.rmtree(root, ignore_errors=True))
    for server in start_services(root):
        early_config.add_cleanup(server.stop)
