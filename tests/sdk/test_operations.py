"""Timing: a decorator and a block, plain and async, that change nothing about what they watch."""

import asyncio

import pytest

from aivillage_observability import ObservabilitySystem, monitored_operation, timed_operation


@pytest.fixture
def observability() -> ObservabilitySystem:
    return ObservabilitySystem("billing", console_url="http://127.0.0.1:9", token="t")


def counted(observability: ObservabilitySystem) -> dict[tuple[str, ...], float]:
    ours = ("service", "instance")
    return {
        (row.metric.name, *(text for name, text in sorted(row.labels.items()) if name not in ours)): row.value
        for row in observability.metrics.drain()
        if "le" not in row.labels and not row.metric.name.endswith("_sum")
    }


def test_a_timed_function_keeps_its_name_its_result_and_its_error(observability: ObservabilitySystem) -> None:
    @timed_operation(observability, "charge")
    def charge(amount: int) -> int:
        return 10 // amount

    assert (charge.__name__, charge(5)) == ("charge", 2)
    with pytest.raises(ZeroDivisionError):
        charge(0)
    assert counted(observability) == {
        ("charge_operations_total", "none", "true"): 1,
        ("charge_operations_total", "ZeroDivisionError", "false"): 1,
        ("charge_duration_ms_count", "none", "true"): 1,
        ("charge_duration_ms_count", "ZeroDivisionError", "false"): 1,
    }


def test_a_timed_coroutine_is_timed_to_its_end(observability: ObservabilitySystem) -> None:
    @timed_operation(observability, "charge")
    async def charge(amount: int) -> int:
        await asyncio.sleep(0.02)
        return amount

    assert asyncio.run(charge(3)) == 3
    sums = [row.value for row in observability.metrics.drain() if row.metric.name == "charge_duration_ms_sum"]
    assert sums[-1] >= 20.0


def test_a_monitored_block_counts_its_end(observability: ObservabilitySystem) -> None:
    with monitored_operation(observability, "merge", model="a") as operation:
        assert operation["operation_name"] == "merge"
    with pytest.raises(KeyError), monitored_operation(observability, "merge", model="a"):
        raise KeyError("k")
    assert counted(observability) == {
        ("merge_started_total", "a"): 2,
        ("merge_completed_total", "a", "success"): 1,
        ("merge_failed_total", "KeyError", "a", "failed"): 1,
        ("merge_duration_ms_count", "a"): 2,
        ("merge_memory_delta_mb_count", "a"): 2,
    }


def test_a_monitored_block_may_be_async(observability: ObservabilitySystem) -> None:
    async def work() -> object:
        async with monitored_operation(observability, "merge") as operation:
            return operation["start_time"]

    assert isinstance(asyncio.run(work()), float)
    assert counted(observability)["merge_completed_total", "success"] == 1
