"""The system family: what is read of a host and what becomes of it."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from aivillage_observability import ObservabilitySystem, SystemMetricsCollector
from aivillage_observability.gpu import parse_smi, read_nvml, read_smi
from aivillage_observability.processes import resident_by_role
from aivillage_observability.prometheus_registry import MOST_ROWS, family_rows
from aivillage_observability.system_collector import read_cores, read_disks
from aivillage_observability.system_rows import (
    CpuTimes,
    Disk,
    Gpu,
    Interface,
    Memory,
    Readings,
    busy_percent,
    system_rows,
)
from tests.sdk.console import Console

BEFORE = [CpuTimes(10.0, 100.0), CpuTimes(20.0, 100.0)]
AFTER = [CpuTimes(15.0, 110.0), CpuTimes(20.0, 110.0)]
MEMORY = Memory(total=1000, used=300, available=600, by_type={"cached": 100})


def values(before: Sequence[CpuTimes], readings: Readings) -> dict[tuple[str, ...], float]:
    rows = system_rows(before, readings, host="alpha", at_ms=5)
    assert {(row.labels["host"], row.timestamp_ms) for row in rows} == {("alpha", 5)}
    return {
        (row.metric.name, *(text for name, text in row.labels.items() if name != "host")): row.value for row in rows
    }


def test_a_reading_becomes_the_family_of_the_catalogue() -> None:
    readings = Readings(
        cores=AFTER,
        memory=MEMORY,
        disks=[Disk("/", total=100, used=60, free=20)],
        interfaces=[Interface("eth0", sent=7, received=9)],
        connections=12,
        resident_bytes={"web": 55},
        gpus=[Gpu("0", "L4", used=25.0, total=100.0, celsius=40.0)],
    )
    assert values(BEFORE, readings) == {
        ("cpu_count",): 2,
        ("cpu_usage_percent",): 25.0,
        ("cpu_core_usage_percent", "0"): 50.0,
        ("cpu_core_usage_percent", "1"): 0.0,
        ("memory_total_bytes",): 1000,
        ("memory_used_bytes",): 300,
        ("memory_available_bytes",): 600,
        ("memory_usage_percent",): 40.0,
        ("memory_usage_bytes", "cached"): 100,
        ("disk_total_bytes", "/"): 100,
        ("disk_used_bytes", "/"): 60,
        ("disk_free_bytes", "/"): 20,
        ("disk_usage_percent", "/"): 75.0,
        ("network_bytes_sent_total", "eth0"): 7,
        ("network_bytes_received_total", "eth0"): 9,
        ("network_connections",): 12,
        ("process_resident_memory_bytes", "web"): 55,
        ("gpu_memory_allocated_bytes", "0", "L4"): 25.0,
        ("gpu_memory_total_bytes", "0", "L4"): 100.0,
        ("gpu_memory_usage_percent", "0", "L4"): 25.0,
        ("gpu_temperature_celsius", "0", "L4"): 40.0,
    }


def test_network_bytes_are_counters_and_the_rest_are_gauges() -> None:
    readings = Readings(cores=AFTER, memory=MEMORY, interfaces=[Interface("eth0", 1, 1)])
    kinds = {row.metric.name: row.metric.kind for row in system_rows(BEFORE, readings, host="a", at_ms=1)}
    assert {name for name, kind in kinds.items() if kind == "counter"} == {
        "network_bytes_sent_total",
        "network_bytes_received_total",
    }


def test_a_core_that_appeared_gives_no_share_rather_than_a_wrong_one() -> None:
    assert not {key for key in values(BEFORE[:1], Readings(AFTER, MEMORY)) if key[0].startswith("cpu_usage")}


@pytest.mark.parametrize(
    ("after", "share"),
    [(CpuTimes(10.0, 100.0), None), (CpuTimes(9.9, 101.0), 0.0), (CpuTimes(11.01, 101.0), 100.0)],
)
def test_a_share_stays_between_0_and_100(after: CpuTimes, share: float | None) -> None:
    assert busy_percent(BEFORE[0], after) == share


def test_this_host_can_be_read() -> None:
    assert all(0.0 < core.busy_seconds <= core.total_seconds for core in read_cores())
    disks = read_disks()
    assert "/" in {disk.mount for disk in disks}
    assert not {disk.mount for disk in disks if disk.mount.startswith(("/proc", "/sys", "/dev/"))}


def test_the_first_reading_arrives_at_once(console: Console) -> None:
    observability = ObservabilitySystem("host", console_url=console.url, token="obs_test")
    collector = SystemMetricsCollector(observability, interval_seconds=3600.0)
    observability.start()
    asyncio.run(collector.start_collection())
    assert console.wait(1)
    names = {row["name"] for row in console.rows}
    assert {"cpu_usage_percent", "memory_usage_percent", "disk_usage_percent", "process_resident_memory_bytes"} <= names
    assert all(row["help"] for row in console.rows)
    collector.stop()
    observability.stop()


def test_memory_is_added_up_by_role() -> None:
    sizes = resident_by_role(1)()
    assert sizes
    assert all(size >= 0 for size in sizes.values())
    assert resident_by_role(2**22 + 1)() == {}


SMI = "0, NVIDIA L4, 512, [N/A], 23034, 7, 41\n1, NVIDIA L4, [Not Supported], 1, 2, 3, 4\nbroken\n"


def test_the_table_of_nvidia_smi_is_read() -> None:
    first, second = parse_smi(SMI)
    assert (first.device, first.name, first.used, first.reserved) == ("0", "NVIDIA L4", 512 * 2.0**20, None)
    assert (first.busy_percent, first.celsius, second.used) == (7.0, 41.0, None)


def test_a_missing_or_failing_nvidia_smi_gives_no_device() -> None:
    assert read_smi("/nowhere/nvidia-smi") == []
    assert read_smi("/bin/false") == []


class FakeNvml:
    """The outside world: there is no device on the machines that run these tests."""

    NVMLError = OSError
    NVML_TEMPERATURE_GPU = 0
    broken = False

    def nvmlDeviceGetCount(self) -> int:
        if self.broken:
            raise OSError("driver unloaded")
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return b"L4"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(used=1, total=2)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=30)

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        return 50


def test_devices_are_read_through_nvml_and_a_lost_driver_gives_none() -> None:
    nvml = FakeNvml()
    assert read_nvml(nvml) == [Gpu("0", "L4", used=1.0, total=2.0, busy_percent=30.0, celsius=50.0)]
    nvml.broken = True
    assert read_nvml(nvml) == []


def family(name: str, samples: int = 1) -> Any:
    sample = SimpleNamespace(name=f"{name}_total", labels={"kind": "a"}, value=2.0)
    created = SimpleNamespace(name=f"{name}_created", labels={"kind": "a"}, value=2.0)
    return SimpleNamespace(
        name=name, type="counter", unit="", documentation="Help.", samples=[*[sample] * samples, created]
    )


def test_only_the_wanted_families_of_a_registry_are_sent() -> None:
    rows = family_rows(
        [family("console_work"), family("python_gc")],
        wanted=lambda name: name.startswith("console_"),
        labels={"service": "console"},
        at_ms=9,
    )
    assert [(row.metric.name, row.metric.kind, row.labels) for row in rows] == [
        ("console_work_total", "counter", {"service": "console", "kind": "a"})
    ]


def test_a_registry_that_ran_away_is_cut() -> None:
    rows = family_rows([family("console_work", MOST_ROWS + 5)], wanted=lambda _: True, labels={}, at_ms=9)
    assert len(rows) == MOST_ROWS
