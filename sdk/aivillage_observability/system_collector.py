"""Reads this host with psutil and hands the rows over, every ten seconds and at once at the start."""

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil

from aivillage_observability.gpu import find_reader
from aivillage_observability.observability import ObservabilitySystem
from aivillage_observability.rows import Row
from aivillage_observability.system_rows import CpuTimes, Disk, Interface, Memory, Readings, system_rows

log = logging.getLogger("aivillage_observability")

INTERVAL_SECONDS = 10.0
# CPU shares need two readings; the first pair is this far apart, so that a host shows up at once.
FIRST_WINDOW_SECONDS = 0.5
MOST_MOUNTS = 64
MOST_INTERFACES = 64
# A file system on the network may hang `statvfs` for ever when its server is away, so only local ones are read.
REAL_FILE_SYSTEMS = frozenset({
    "apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "exfat", "f2fs", "hfs", "jfs", "msdos", "ntfs", "ntfs3", "ufs",
    "vfat", "xfs", "zfs",
})  # fmt: skip
IDLE_FIELDS = ("idle", "iowait")
# Guest time is counted inside user and nice already.
COUNTED_TWICE = ("guest", "guest_nice")
ReadResident = Callable[[], Mapping[str, int]]


def read_cores() -> list[CpuTimes]:
    """Read the time every core spent busy."""
    cores = []
    for times in psutil.cpu_times(percpu=True):
        spent = {name: seconds for name, seconds in times._asdict().items() if name not in COUNTED_TWICE}
        idle = sum(spent.get(name, 0.0) for name in IDLE_FIELDS)
        total = sum(spent.values())
        cores.append(CpuTimes(total - idle, total))
    return cores


def read_memory() -> Memory:
    """Read the host's memory."""
    memory = psutil.virtual_memory()
    types = ("used", "buffers", "cached", "shared", "slab")
    by_type = {name: int(getattr(memory, name)) for name in types if hasattr(memory, name)}
    return Memory(int(memory.total), int(memory.used), int(memory.available), by_type)


def read_disks() -> list[Disk]:
    """Read every local file system once, however often it is mounted, and whatever holds the root directory."""
    disks: list[Disk] = []
    seen: set[str] = set()
    for partition in psutil.disk_partitions(all=True):
        mount = partition.mountpoint
        wanted = mount == "/" or partition.fstype in REAL_FILE_SYSTEMS
        if not wanted or partition.device in seen or len(disks) >= MOST_MOUNTS or not Path(mount).is_dir():
            continue
        try:
            usage = psutil.disk_usage(mount)
        except OSError:
            # Unmounted meanwhile, or not ours to look at.
            continue
        seen.add(partition.device)
        if usage.total:
            disks.append(Disk(mount, usage.total, usage.used, usage.free))
    return disks


def read_interfaces() -> list[Interface]:
    """Read the byte counters of the network interfaces that carried anything; pairs of containers are left out."""
    found = [
        Interface(name, counters.bytes_sent, counters.bytes_recv)
        for name, counters in sorted(psutil.net_io_counters(pernic=True).items())
        if not name.startswith("veth") and counters.bytes_sent + counters.bytes_recv
    ]
    return found[:MOST_INTERFACES]


def read_connections() -> int | None:
    """Count TCP sockets in use; on Linux from the kernel's summary, which costs nothing however many there are."""
    if sys.platform != "linux":
        try:
            return len(psutil.net_connections(kind="tcp"))
        except psutil.Error:
            return None
    total = 0
    for name in ("sockstat", "sockstat6"):
        try:
            lines = Path("/proc/net", name).read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words and words[0] in {"TCP:", "TCP6:"}:
                total += int(words[words.index("inuse") + 1])
    return total


def own_resident_memory(service: str) -> ReadResident:
    """Return a reader of this process's resident memory under a service name."""
    process = psutil.Process(os.getpid())
    return lambda: {service: int(process.memory_info().rss)}


class SystemMetricsCollector:
    """Collects the system family of metrics of this host in a thread of its own."""

    def __init__(
        self,
        observability: ObservabilitySystem,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        host: str | None = None,
        read_resident: ReadResident | None = None,
        more_rows: Callable[[int], Iterable[Row]] = lambda _at_ms: (),
    ) -> None:
        self._observability = observability
        self._interval_seconds = interval_seconds
        self._host = host or socket.gethostname()
        self._read_resident = read_resident or own_resident_memory(observability.service_name)
        self._more_rows = more_rows
        self._read_gpus = find_reader()
        self._cores: list[CpuTimes] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="aivillage-collector", daemon=True)

    def start(self) -> None:
        """Collect in the background."""
        self._thread.start()

    async def start_collection(self) -> None:
        """Collect in the background; the name and the `await` that services already use."""
        self.start()

    def stop(self) -> None:
        """End after the reading in progress."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(self._interval_seconds)

    def run(self) -> None:
        """Collect until stopped, on a grid that one slow reading does not shift."""
        self._cores = read_cores()
        due = time.monotonic() + FIRST_WINDOW_SECONDS
        while not self._stopping.wait(max(due - time.monotonic(), 0.0)):
            self._observability.send(self.collect())
            due = max(due + self._interval_seconds, time.monotonic())

    def collect(self) -> list[Row]:
        """Read the host now and return its rows."""
        at_ms = time.time_ns() // 1_000_000
        readings = Readings(
            cores=read_cores(),
            memory=read_memory(),
            disks=read_disks(),
            interfaces=read_interfaces(),
            connections=read_connections(),
            resident_bytes=self._read_resident(),
            gpus=self._read_gpus() if self._read_gpus is not None else (),
        )
        rows = system_rows(self._cores, readings, host=self._host, at_ms=at_ms)
        self._cores = list(readings.cores)
        return rows + list(self._more_rows(at_ms))
