"""Keeps processes running: starts them, prefixes what they print, restarts what dies, stops them in order.

All of it happens in one thread, because the kernel's parent-death signal fires when the *thread* that forked ends.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aivillage_console.embedded import Server, ServiceFailed, die_with_parent
from aivillage_console.forking import ForkedProcess, fork

STOP_SECONDS = 10.0
BACKOFF_FIRST_SECONDS = 0.2
BACKOFF_MAX_SECONDS = 10.0
STEADY_SECONDS = 30.0
MEMORY_EVERY_SECONDS = 15.0
ANNOUNCE_SECONDS = 0.2
READ_BYTES = 65536


@dataclass
class Role:
    """One process of the console."""

    name: str
    command: Sequence[str]  # what follows `python`
    memory_limit_bytes: int = 0  # 0: no limit
    process: subprocess.Popen[bytes] | ForkedProcess | None = field(default=None, init=False)
    started_at_seconds: float = field(default=0.0, init=False)
    restart_at_seconds: float = field(default=0.0, init=False)
    backoff_seconds: float = field(default=BACKOFF_FIRST_SECONDS, init=False)
    unfinished: bytes = field(default=b"", init=False)

    def resident_bytes(self) -> int:
        """Return the resident size, 0 when the process is gone or the system does not tell."""
        with contextlib.suppress(OSError, AttributeError):
            pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]  # type: ignore[union-attr]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        return 0


class Supervisor:
    """Owns the roles and the embedded servers."""

    def __init__(
        self,
        roles: Sequence[Role],
        servers: Sequence[Server],
        environment: dict[str, str],
        directory: Path,
        *,
        preloaded: bool = False,
    ) -> None:
        self.preloaded = preloaded
        self.roles = list(roles)
        self.servers = list(servers)
        self.environment = environment
        self.directory = directory
        self.selector = selectors.DefaultSelector()
        self.stopping = False
        self.watching_at_seconds = 0.0
        self.server_starts: dict[str, tuple[float, float]] = {}  # began, back-off
        self.server_due: dict[str, float] = {}

    def start(self, role: Role) -> None:
        """Start one role: as a fork of this process where it is preloaded, else as a program of its own."""
        environment = {**self.environment, "ROLE": role.name}
        if self.preloaded:
            role.process = fork(role.command, environment, role=role.name, close=self._drop)
        else:
            role.process = subprocess.Popen(  # noqa: S603
                [sys.executable, *role.command],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one thread, and prctl is loaded
            )
        role.started_at_seconds, role.restart_at_seconds = time.monotonic(), 0.0
        if role.process.stdout:
            os.set_blocking(role.process.stdout.fileno(), False)
            self.selector.register(role.process.stdout, selectors.EVENT_READ, role)

    def _drop(self) -> None:
        """Close, in a forked child, what belongs to this process alone."""
        files = [key.fileobj for key in self.selector.get_map().values()]
        self.selector.close()
        for file in files:
            file.close()  # type: ignore[union-attr]

    def run(self, announced: Callable[[], bool]) -> None:
        """Keep everything running until a signal asks to stop; `announced` is asked often until it says yes."""
        done = False
        with self._signals():
            for role in self.roles:
                self.start(role)
            while not self.stopping:
                self._turn(MEMORY_EVERY_SECONDS if done else ANNOUNCE_SECONDS)
                done = done or announced()
        self.stop()

    def stop(self) -> None:
        """Stop the roles in the order of the list, then the servers, last started first."""
        for role in self.roles:
            self._stop_role(role)
        for server in reversed(self.servers):
            say("console", f"stopping {server.name}")
            server.stop()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        # A signal only wakes the selector; the work happens in the loop.
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        previous = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(ours, selectors.EVENT_READ, None)
        try:
            yield
        finally:
            self.selector.unregister(ours)
            signal.set_wakeup_fd(previous)
            ours.close()
            theirs.close()

    def _asked_to_stop(self, *_: object) -> None:
        self.stopping = True

    def _turn(self, patience_seconds: float) -> None:
        for key, _ in self.selector.select(self._patience(patience_seconds)):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    key.fileobj.recv(READ_BYTES)  # type: ignore[union-attr]
            else:
                self._print(key.data)
        for server in self.servers:
            if not self.stopping:
                self._look_after_server(server)
        for role in self.roles:
            self._look_after(role)
        if time.monotonic() >= self.watching_at_seconds:
            self._watch_memory()

    def _patience(self, most_seconds: float) -> float:
        """Return how long nothing will fall due."""
        waiting = [role.restart_at_seconds for role in self.roles if role.restart_at_seconds]
        down = [self.server_due.get(server.name, 0.0) for server in self.servers if not server.running()]
        due = min([self.watching_at_seconds, *waiting, *down])
        return max(0.0, min(most_seconds, due - time.monotonic()))

    def _look_after(self, role: Role) -> None:
        now = time.monotonic()
        if role.process is not None and role.process.poll() is not None:
            code = role.process.wait()
            self._close_output(role)
            # SIGKILL comes from outside (a person, the kernel short of memory): the process is not to blame for it.
            if now - role.started_at_seconds > STEADY_SECONDS or code == -signal.SIGKILL:
                role.backoff_seconds = BACKOFF_FIRST_SECONDS
            role.restart_at_seconds = now + role.backoff_seconds
            say("console", f"{role.name} ended ({_ending(code)}); starting again in {role.backoff_seconds:.1f} s")
            role.backoff_seconds = min(2 * role.backoff_seconds, BACKOFF_MAX_SECONDS)
            role.process = None
        if role.process is None and role.restart_at_seconds <= now and not self.stopping:
            self.start(role)

    def _look_after_server(self, server: Server) -> None:
        now = time.monotonic()
        if server.running() or now < self.server_due.get(server.name, 0.0):
            return
        # Twice as long each time it does not stay up, or a broken data directory would keep a core busy.
        began, backoff = self.server_starts.get(server.name, (0.0, BACKOFF_FIRST_SECONDS))
        backoff = BACKOFF_FIRST_SECONDS if now - began > STEADY_SECONDS else min(2 * backoff, BACKOFF_MAX_SECONDS)
        self.server_starts[server.name] = (now, backoff)
        self.server_due[server.name] = now + backoff
        say("console", f"{server.name} ended; starting it again")
        try:
            server.start()
        except ServiceFailed as error:
            # PostgreSQL's own children may hold its shared memory for a moment: a later turn tries again.
            say("console", str(error))

    def _watch_memory(self) -> None:
        self.watching_at_seconds = time.monotonic() + MEMORY_EVERY_SECONDS
        for role in self.roles:
            size = role.resident_bytes()
            if role.process and role.memory_limit_bytes and size > role.memory_limit_bytes:
                say("console", f"{role.name} has grown to {size / 1e6:.0f} MB; restarting it")
                role.process.terminate()

    def _stop_role(self, role: Role) -> None:
        process = role.process
        if process is None or process.poll() is not None:
            return
        say("console", f"stopping {role.name}")
        process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            # What it still has to say is read, or a full pipe would keep it from ending.
            self._print(role)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._close_output(role)

    def _close_output(self, role: Role) -> None:
        self._print(role)
        if role.process and role.process.stdout:
            with contextlib.suppress(KeyError):
                self.selector.unregister(role.process.stdout)
            role.process.stdout.close()

    def _print(self, role: Role) -> None:
        output = role.process.stdout if role.process else None
        if output is None or output.closed:
            return
        with contextlib.suppress(BlockingIOError):
            data = os.read(output.fileno(), READ_BYTES)
            if not data:
                # Closed by the process, but perhaps not ended yet: without this the selector would spin.
                with contextlib.suppress(KeyError):
                    self.selector.unregister(output)
            *lines, role.unfinished = (role.unfinished + data).split(b"\n")
            for line in lines:
                say(role.name, line.decode(errors="replace"))


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def say(name: str, text: str) -> None:
    """Print one line under the name of who says it."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        sys.stdout.write(f"{name:<10} | {text}\n")
        sys.stdout.flush()
