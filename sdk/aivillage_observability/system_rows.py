"""The system family of metrics: from readings of a host to rows. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aivillage_observability.rows import Metric, Row

CPU_USAGE = Metric("cpu_usage_percent", "gauge", "percent", "Share of all cores that was busy since the last reading.")
CPU_COUNT = Metric("cpu_count", "gauge", "", "Logical cores.")
CPU_CORE = Metric("cpu_core_usage_percent", "gauge", "percent", "Share of one core that was busy.")
MEMORY_TOTAL = Metric("memory_total_bytes", "gauge", "bytes", "Memory of the host.")
MEMORY_USED = Metric("memory_used_bytes", "gauge", "bytes", "Memory that programs hold.")
MEMORY_AVAILABLE = Metric("memory_available_bytes", "gauge", "bytes", "Memory that programs could still get.")
MEMORY_PERCENT = Metric("memory_usage_percent", "gauge", "percent", "Share of memory that is not available.")
MEMORY_BY_TYPE = Metric("memory_usage_bytes", "gauge", "bytes", "Memory in use by type.")
DISK_TOTAL = Metric("disk_total_bytes", "gauge", "bytes", "Size of the file system.")
DISK_USED = Metric("disk_used_bytes", "gauge", "bytes", "Bytes in use.")
DISK_FREE = Metric("disk_free_bytes", "gauge", "bytes", "Bytes an ordinary user can still write.")
DISK_PERCENT = Metric("disk_usage_percent", "gauge", "percent", "Share of the usable bytes that is in use.")
SENT = Metric("network_bytes_sent_total", "counter", "bytes", "Bytes sent since the host started.")
RECEIVED = Metric("network_bytes_received_total", "counter", "bytes", "Bytes received since the host started.")
CONNECTIONS = Metric("network_connections", "gauge", "", "TCP sockets in use.")
RESIDENT = Metric("process_resident_memory_bytes", "gauge", "bytes", "Resident memory of a service's processes.")
GPU_USED = Metric("gpu_memory_allocated_bytes", "gauge", "bytes", "Memory of the device in use.")
GPU_RESERVED = Metric("gpu_memory_reserved_bytes", "gauge", "bytes", "Memory of the device held by its driver.")
GPU_TOTAL = Metric("gpu_memory_total_bytes", "gauge", "bytes", "Memory of the device.")
GPU_PERCENT = Metric("gpu_memory_usage_percent", "gauge", "percent", "Share of the device's memory in use.")
GPU_BUSY = Metric("gpu_utilization_percent", "gauge", "percent", "Share of time the device was busy.")
GPU_HEAT = Metric("gpu_temperature_celsius", "gauge", "celsius", "Temperature of the device.")


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds a core was busy, and seconds it existed, since the host started."""

    busy_seconds: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the host in bytes."""

    total: int
    used: int
    available: int
    by_type: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Disk:
    """One mounted file system; `free` is what an ordinary user can write."""

    mount: str
    total: int
    used: int
    free: int


@dataclass(frozen=True, slots=True)
class Interface:
    """Bytes through one network interface since the host started."""

    name: str
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device; what it does not tell is None."""

    device: str
    name: str
    used: float | None = None
    reserved: float | None = None
    total: float | None = None
    busy_percent: float | None = None
    celsius: float | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything read of a host at one moment."""

    cores: Sequence[CpuTimes]
    memory: Memory
    disks: Sequence[Disk] = ()
    interfaces: Sequence[Interface] = ()
    connections: int | None = None
    resident_bytes: Mapping[str, int] = field(default_factory=dict)
    gpus: Sequence[Gpu] = ()


def busy_percent(before: CpuTimes, after: CpuTimes) -> float | None:
    """Return the share of time spent busy between two readings; None when no time passed."""
    passed = after.total_seconds - before.total_seconds
    if passed <= 0:
        return None
    # Idle time may step back a tick on Linux, which would show as -0.1 or 100.1.
    return min(max(100.0 * (after.busy_seconds - before.busy_seconds) / passed, 0.0), 100.0)


def system_rows(before: Sequence[CpuTimes], now: Readings, *, host: str, at_ms: int) -> list[Row]:
    """Return the rows of one reading; CPU shares are taken against the reading `before`."""
    host_label = {"host": host}
    values: list[tuple[Metric, float | None, dict[str, str]]] = []
    values += _cpu(before, now.cores)
    values += _memory(now.memory)
    for disk in now.disks:
        values += _disk(disk)
    for interface in now.interfaces:
        label = {"interface": interface.name}
        values += [(SENT, interface.sent, label), (RECEIVED, interface.received, label)]
    values.append((CONNECTIONS, now.connections, {}))
    values += [(RESIDENT, size, {"service": service}) for service, size in now.resident_bytes.items()]
    for gpu in now.gpus:
        values += _gpu(gpu)
    return [Row(metric, value, host_label | labels, at_ms) for metric, value, labels in values if value is not None]


def _cpu(before: Sequence[CpuTimes], after: Sequence[CpuTimes]) -> list[tuple[Metric, float | None, dict[str, str]]]:
    values: list[tuple[Metric, float | None, dict[str, str]]] = [(CPU_COUNT, len(after), {})]
    if len(before) != len(after):
        # A core came or went (hot plug, a resized guest): the pairs would not fit.
        return values
    values.append((CPU_USAGE, busy_percent(_sum(before), _sum(after)), {}))
    pairs = enumerate(zip(before, after, strict=True))
    return values + [(CPU_CORE, busy_percent(old, new), {"core": str(core)}) for core, (old, new) in pairs]


def _sum(cores: Sequence[CpuTimes]) -> CpuTimes:
    return CpuTimes(sum(core.busy_seconds for core in cores), sum(core.total_seconds for core in cores))


def _memory(memory: Memory) -> list[tuple[Metric, float | None, dict[str, str]]]:
    return [
        (MEMORY_TOTAL, memory.total, {}),
        (MEMORY_USED, memory.used, {}),
        (MEMORY_AVAILABLE, memory.available, {}),
        (MEMORY_PERCENT, _share(memory.total - memory.available, memory.total), {}),
        *((MEMORY_BY_TYPE, size, {"type": kind}) for kind, size in memory.by_type.items()),
    ]


def _disk(disk: Disk) -> list[tuple[Metric, float | None, dict[str, str]]]:
    label = {"mount": disk.mount}
    return [
        (DISK_TOTAL, disk.total, label),
        (DISK_USED, disk.used, label),
        (DISK_FREE, disk.free, label),
        (DISK_PERCENT, _share(disk.used, disk.used + disk.free), label),
    ]


def _gpu(gpu: Gpu) -> list[tuple[Metric, float | None, dict[str, str]]]:
    label = {"device": gpu.device, "name": gpu.name}
    share = None if gpu.used is None or gpu.total is None else _share(gpu.used, gpu.total)
    return [
        (GPU_USED, gpu.used, label),
        (GPU_RESERVED, gpu.reserved, label),
        (GPU_TOTAL, gpu.total, label),
        (GPU_PERCENT, share, label),
        (GPU_BUSY, gpu.busy_percent, label),
        (GPU_HEAT, gpu.celsius, label),
    ]


def _share(part: float, whole: float) -> float | None:
    return 100.0 * part / whole if whole > 0 else None
