"""The real sockets process on a port of its own, to be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from django.db import connection

START_SECONDS = 30.0


def elsewhere(work: Callable[[], object]) -> None:
    """Do something in a thread of its own, for Playwright's event loop runs in this one."""

    def then_close() -> None:
        try:
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(then_close).result()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class SocketsProcess:
    """uvicorn with the console's ASGI application, over the test's database and Valkey."""

    def __init__(self, public_url: str, database: dict[str, Any]) -> None:
        """Choose the port; nothing runs yet."""
        self.port = free_port()
        address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database['NAME']}").geturl()
        self.env = {**os.environ, "ROLE": "sockets", "PUBLIC_URL": public_url, "DATABASE_URL": address,
                    "ALLOWED_HOSTS": "localhost,127.0.0.1"}  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        command = [sys.executable, "-m", "uvicorn", "aivillage_console.asgi:application", "--port", str(self.port)]
        self.process = subprocess.Popen([*command, "--log-level", "warning"], env=self.env)
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise TimeoutError("the sockets process did not listen")

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Let it hang: connections stay open and nothing is said."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
