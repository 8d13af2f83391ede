"""A service's own checks: each on its own, told to the console, and never in the way of the host."""

import asyncio
import threading
from typing import Any

import pytest

from aivillage_observability import HealthReporter
from aivillage_observability.health import MOST_CHECKS, read_answer
from tests.sdk.console import Console


def reporter(console: Console, **changes: Any) -> HealthReporter:
    values: dict[str, Any] = {"interval_seconds": 60, "timeout_seconds": 5, "owner": "eva", "depends_on": ["neo4j"]}
    return HealthReporter("hyperrag", console_url=console.url, token="obs_x", **{**values, **changes})


def found(console: Console, count: int) -> dict[str, dict[str, Any]]:
    """Wait until so many checks were told of, and return the first row of each."""
    with console.arrived:
        console.arrived.wait_for(lambda: len({row["check"] for row in console.rows}) >= count, 20)
    rows: dict[str, dict[str, Any]] = {}
    for row in console.rows:
        rows.setdefault(row["check"], row)
    return rows


def test_plain_and_async_checks_are_told_with_what_they_are_about(console: Console) -> None:
    async def later() -> dict[str, object]:
        await asyncio.sleep(0)
        return {"status": "degraded", "details": "slow"}

    health = reporter(console)
    health.register_health_check("plain", lambda: True)
    health.register_health_check("later", later)
    health.start()
    rows = found(console, 2)
    health.stop()
    assert (rows["plain"]["status"], rows["later"]["status"], rows["later"]["message"]) == (
        "healthy", "degraded", "slow"
    )  # fmt: skip
    assert (rows["plain"]["component"], rows["plain"]["owner"], rows["plain"]["depends_on"]) == (
        "hyperrag", "eva", ["neo4j"]
    )  # fmt: skip
    assert console.requests[0]["Authorization"] == "Bearer obs_x"


def test_an_exception_is_an_unhealthy_result_and_a_hanging_check_delays_nobody(console: Console) -> None:
    until = threading.Event()
    health = reporter(console, timeout_seconds=0.3)

    def broken() -> bool:
        raise LookupError("no index")

    async def endless() -> bool:
        await asyncio.Event().wait()
        return True

    health.register_health_check("hangs", until.wait)
    health.register_health_check("broken", broken)
    health.register_health_check("endless", endless)
    health.register_health_check("well", lambda: "healthy")
    health.start()
    rows = found(console, 4)
    until.set()
    health.stop()
    assert (rows["broken"]["status"], rows["broken"]["message"]) == ("unhealthy", "LookupError: no index")
    assert (rows["hangs"]["status"], rows["hangs"]["message"]) == ("unhealthy", "no answer within 0.3 s")
    assert (rows["endless"]["status"], rows["well"]["status"]) == ("unhealthy", "healthy")


def test_a_check_runs_again_after_its_interval(console: Console) -> None:
    health = reporter(console)
    health.register_health_check("often", lambda: True, interval_seconds=0.2)
    health.start()
    told = console.wait(2)
    health.stop()
    assert told


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [(True, "healthy", ""), (False, "unhealthy", ""), (" Degraded ", "degraded", ""), ("full", "unhealthy", "full"),
     ({"status": "healthy", "message": "m"}, "healthy", "m"), ({"status": 3}, "unhealthy", ""),
     (None, "unhealthy", "the check returned NoneType, expected a bool, a status or a mapping")],
)  # fmt: skip
def test_an_answer_has_several_forms(answer: object, status: str, message: str) -> None:
    assert read_answer(answer) == (status, message)


def test_the_number_of_checks_is_bounded(console: Console) -> None:
    health = reporter(console)
    for number in range(MOST_CHECKS):
        health.register_health_check(f"c{number}", lambda: True)
    health.register_health_check("c0", lambda: False)
    with pytest.raises(ValueError, match="at most"):
        health.register_health_check("one more", lambda: True)
