"""Programs of the demo that run beside it, and end with it however it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STOP_SECONDS = 8.0


@dataclass(slots=True)
class Child:
    """One program. It lives as long as the pipe to its standard input is open, which ends with us."""

    name: str
    process: subprocess.Popen[bytes]

    def first_word(self) -> dict[str, Any]:
        """Return what the program says first, as JSON; raises RuntimeError when it ends instead."""
        line = self.process.stdout.readline() if self.process.stdout else b""
        if not line:
            raise RuntimeError(f"{self.name} did not start; it ended with code {self.process.wait(STOP_SECONDS)}.")
        found: dict[str, Any] = json.loads(line)
        return found

    def words(self) -> Iterator[dict[str, Any]]:
        """Yield what else it says, as it says it, until it ends."""
        for line in self.process.stdout or ():
            if line.startswith(b"{"):
                yield json.loads(line)
        self.process.wait()

    def running(self) -> bool:
        """Tell whether it still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Close its pipe, and kill it when that does not help."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def start(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Child:
    """Start `python -m module`; a Ctrl-C at the terminal reaches us alone, we stop the others in order."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(  # noqa: S603 (our own modules and numbers)
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    return Child(module.removeprefix("demo."), process)


def tied_to_parent() -> None:
    """End this program as Ctrl-C does when whoever started it is gone; called by a child."""
    threading.Thread(target=_wait_for_the_end, name="lifeline", daemon=True).start()


def _wait_for_the_end() -> None:
    # Read without Python's buffer: its lock would be held at shutdown, and then the interpreter aborts.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def say(**words: object) -> None:
    """Tell the parent something, as one line of JSON."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()
