"""`make run`: the whole console under one supervisor, with PostgreSQL and Valkey of its own where none are named."""

import contextlib
import fcntl
import http.client
import os
import secrets
import shlex
import shutil
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from aivillage_console import env
from aivillage_console.embedded import PostgresServer, Server, ServiceFailed, ValkeyServer
from aivillage_console.forking import TITLE, preload
from aivillage_console.supervision import Role, Supervisor, say

QUEUES = "detect,evaluate,escalate,dispatch,sync,maintain"
READY_SECONDS = 60.0
# What `manage.py` in another shell must know of a run to act on it: also the address its links begin with.
NEIGHBOURS = ("SECRET_KEY_FILE", "PROMETHEUS_MULTIPROC_DIR", "PUBLIC_URL", "WEB_PORT", "SOCKETS_PORT", "BIND_ADDRESS")


@dataclass
class Stage:
    """What one run of the console needs: settings, servers, the environment of its roles."""

    config: env.Config
    began_at_seconds: float
    servers: list[Server] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    link: str = ""
    preloaded: bool = False


def refuse_busy_ports(config: env.Config) -> None:
    """End with a message when somebody else listens where we would."""
    for name in ("web_port", "sockets_port"):
        port = getattr(config, name)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((config.bind_address, port))
            except OSError as error:
                variable = name.upper()
                raise SystemExit(
                    f"Cannot listen on {config.bind_address}:{port} ({error.strerror}). Stop the program that has it, "
                    f"or choose another port: {variable}={port + 10} make run"
                ) from error


def lock_tree(state: Path) -> TextIO:
    """Return the held lock of this tree; end with a message when another run has it."""
    handle = (state / "run.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.seek(0)
        raise SystemExit(
            f"The console already runs from this tree (process {handle.read().strip() or 'unknown'}). "
            "Stop it first, or give this one a directory of its own: STATE_DIR=/somewhere/else"
        ) from error
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def private_file(path: Path, content: str) -> Path:
    """Write a file only its owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(content)
    return path


def role_environment(stage: Stage) -> dict[str, str]:
    """Return the environment every role gets; secrets travel as names of files."""
    config, state = stage.config, stage.config.state_path
    key_file = state / "secret_key"
    if not config.secret_key and not key_file.exists():
        private_file(key_file, secrets.token_urlsafe(48))
    shared = state / "prometheus"
    shutil.rmtree(shared, ignore_errors=True)
    shared.mkdir(mode=0o700)
    known = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "aivillage_console.settings",
        "STATE_DIR": str(state.absolute()),
        "PUBLIC_URL": config.public_url,
        "PROMETHEUS_MULTIPROC_DIR": str(shared),
        "PYTHONUNBUFFERED": "1",
        "SUPERVISED": "1",
        # One arena and one BLAS thread: these processes wait far more than they work.
        "MALLOC_ARENA_MAX": "2",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        # `prepare` has checked once; checking again loads every URL, and with them the kernels, into each role.
        "CELERY_SKIP_CHECKS": "1",
    }
    if not config.secret_key:
        known["SECRET_KEY_FILE"] = str(key_file)
    known.setdefault("DEMO_ENABLED", "true")
    if not known.get("OUTBOUND_ALLOWED"):
        # Nothing listens there but the demo's receivers (docs/decisions/0006-demo-on-loopback.md).
        known["OUTBOUND_ALLOWED"] = ",".join(f"127.0.0.1/32:{port}" for port in config.demo_ports)
    return known


def start_servers(stage: Stage) -> None:
    """Start what the settings do not name, and leave the addresses where `manage.py` of this tree finds them."""
    state, found = stage.config.state_path, {}
    if not stage.config.database_url:
        postgres = PostgresServer(state)
        stage.servers.append(postgres)
        found["DATABASE_URL"] = postgres.start()
    if not stage.config.redis_url:
        valkey = ValkeyServer(state)
        stage.servers.append(valkey)
        found["REDIS_URL"] = valkey.start()
    stage.environment.update(found)
    found |= {name: stage.environment[name] for name in NEIGHBOURS if name in stage.environment}
    private_file(state / env.LOCAL_ENV_NAME, "".join(f"{name}={value}\n" for name, value in found.items()))


def load(stage: Stage) -> bool:
    """Load what the roles share, where forks of a loaded process are safe; tell whether it was done."""
    if sys.platform != "linux":
        return False
    os.chdir(env.BASE_DIR)
    preload(stage.environment)
    return True


def prepare(stage: Stage) -> None:
    """Migrate and fetch the one-time link, in a process of its own: this one must never hold a connection."""
    supervisor = Supervisor([], [], stage.environment, env.BASE_DIR, preloaded=stage.preloaded)
    role = Role("prepare", ["manage.py", "prepare"])
    supervisor.start(role)
    process = role.process
    if process is None or process.stdout is None:
        raise SystemExit("The process that prepares the database did not start.")
    os.set_blocking(process.stdout.fileno(), True)
    lines = process.stdout.read().decode(errors="replace").splitlines()
    if process.wait():
        raise SystemExit("\n".join([*lines, "The database could not be prepared; the reason is above."]))
    stage.environment["CONSOLE_COLLECTOR_TOKEN_FILE"] = str(stage.config.state_path / "collector_token")
    stage.link = next((line for line in lines if "/sign-in/" in line), "")


def roles(config: env.Config) -> list[Role]:
    """Return the roles in the order they stop: who makes work, who does it, who shows it."""
    address, manage = config.bind_address, ["manage.py"]
    # Root is no danger here: only JSON is accepted, so the warning Celery has for it does not apply.
    celery = ["-W", "ignore:You're running the worker", "-m", "celery", "-q", "-A", "aivillage_console.celery"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    worker = [*celery, "worker", "-P", "threads", "-c", str(config.worker_threads), "-Q", QUEUES, *quiet]
    web = ["-m", "granian", "--interface", "wsgi", "--host", address, "--port", str(config.web_port)]
    web += ["--workers", "1", "--blocking-threads", str(config.web_threads), "--no-ws", "--log-level", "warning"]
    web += ["--process-name", f"{TITLE}web"]
    sockets = ["-m", "uvicorn", "--lifespan", "off", "--no-access-log", "--log-level", "warning"]
    sockets += ["--host", address, "--port", str(config.sockets_port), "aivillage_console.asgi:application"]
    return [
        Role("beat", [*celery, "beat", "--pidfile=", "--loglevel", "WARNING"]),
        Role("collector", [*manage, "collect"]),
        Role("compactor", [*manage, "compact", "--skip-checks"]),
        Role("scraper", [*manage, "scrape", "--skip-checks"]),
        Role("evaluator", [*manage, "evaluate", "--skip-checks"]),
        Role("dispatcher", [*manage, "dispatch", "--skip-checks"]),
        Role("worker", worker, memory_limit_bytes=config.worker_memory_bytes),
        Role("sockets", sockets),
        Role("web", [*web, "aivillage_console.wsgi:application"]),
    ]


def _answers(config: env.Config) -> bool:
    connection = http.client.HTTPConnection(config.bind_address, config.web_port, timeout=1)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/-/ready", headers={"Host": "localhost"})
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def link_command(config: env.Config) -> str:
    """Return the command that prints a new link, as a plain shell in any directory takes it."""
    where = f"STATE_DIR={shlex.quote(str(config.state_path.absolute()))} " if config.state_dir else ""
    program, manage = (shlex.quote(str(path)) for path in (sys.executable, env.BASE_DIR / "manage.py"))
    if Path.cwd() == env.BASE_DIR:
        program, manage = program.removeprefix(f"{env.BASE_DIR}/"), "manage.py"
    return f"{where}{program} {manage} sign_in_link"


def announce(stage: Stage) -> bool:
    """Say where the console is once it answers; tell whether that was said."""
    if not _answers(stage.config):
        return False
    say("console", f"ready after {time.monotonic() - stage.began_at_seconds:.1f} s at {stage.config.public_url}")
    if stage.link:
        say("console", f"sign in once, within 30 minutes, with {stage.link}")
        say("console", f"a new link: {link_command(stage.config)}")
    return True


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    """Start, supervise, stop."""
    port = os.environ.get("WEB_PORT") or "8000"
    config = env.read({"PUBLIC_URL": f"http://127.0.0.1:{port}", **os.environ})
    stage = Stage(config, time.monotonic())
    config.state_path.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = lock_tree(config.state_path)
    refuse_busy_ports(config)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    supervisor = None
    try:
        stage.environment = role_environment(stage)
        start_servers(stage)
        say("console", f"services up after {time.monotonic() - stage.began_at_seconds:.1f} s")
        stage.preloaded = load(stage)
        prepare(stage)
        say("console", f"database ready after {time.monotonic() - stage.began_at_seconds:.1f} s")
        supervisor = Supervisor(
            roles(config), stage.servers, stage.environment, env.BASE_DIR, preloaded=stage.preloaded
        )
        supervisor.run(lambda: announce(stage))
    except ServiceFailed as error:
        raise SystemExit(str(error)) from error
    finally:
        if supervisor is None:
            for server in reversed(stage.servers):
                server.stop()
        (config.state_path / env.LOCAL_ENV_NAME).unlink(missing_ok=True)
        lock.close()
    say("console", "stopped")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
