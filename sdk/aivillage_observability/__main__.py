"""Watch this host from the command line: `aivillage-collect --url https://console.example --token-file FILE`."""

import argparse
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from aivillage_observability.observability import DEFAULT_URL, IN_MEMORY, ObservabilitySystem
from aivillage_observability.processes import resident_by_role
from aivillage_observability.prometheus_registry import registry_reader
from aivillage_observability.rows import Row
from aivillage_observability.system_collector import INTERVAL_SECONDS, SystemMetricsCollector


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; the token never appears on it, because every user of a host can read that."""
    parser = argparse.ArgumentParser(prog="aivillage-collect", description="Watch this host.", allow_abbrev=False)
    parser.add_argument("--url", default=os.environ.get("AIVILLAGE_CONSOLE_URL", DEFAULT_URL))
    parser.add_argument("--token-file", type=Path, help="else the token comes from AIVILLAGE_CONSOLE_TOKEN")
    parser.add_argument("--service", default="host")
    parser.add_argument("--spool", default=IN_MEMORY, help="directory for what the console cannot take yet")
    parser.add_argument("--interval-seconds", type=float, default=INTERVAL_SECONDS)
    parser.add_argument("--process-tree", type=int, metavar="PID", help="report memory below this process by ROLE")
    parser.add_argument("--prometheus-directory", help="also send a prometheus_client multi-process registry")
    parser.add_argument("--prometheus-prefix", action="append", default=[], help="families to send, by prefix")
    return parser.parse_args(given)


def collector(options: argparse.Namespace) -> tuple[ObservabilitySystem, SystemMetricsCollector]:
    """Return the parts that the options ask for, not yet started."""
    token = options.token_file.read_text(encoding="ascii").strip() if options.token_file else None
    observability = ObservabilitySystem(
        options.service, options.spool, options.interval_seconds, console_url=options.url, token=token
    )
    tree = None if options.process_tree is None else resident_by_role(options.process_tree)

    more_rows: Callable[[int], list[Row]] = lambda _at_ms: []  # noqa: E731
    if options.prometheus_directory:
        prefixes = tuple(options.prometheus_prefix)
        more_rows = registry_reader(
            options.prometheus_directory,
            wanted=lambda name: name.startswith(prefixes),
            instance=socket.gethostname(),
            service=options.service,
        )
    return observability, SystemMetricsCollector(
        observability, interval_seconds=options.interval_seconds, read_resident=tree, more_rows=more_rows
    )


def main(given: Sequence[str] | None = None) -> int:
    """Collect until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    observability, system = collector(arguments(given))
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    observability.start()
    system.start()
    ended.wait()
    system.stop()
    observability.stop(timeout_seconds=2.0)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
