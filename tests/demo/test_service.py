"""The attacked service, its visitors and its attackers, over real sockets."""

import random
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from demo import children
from demo.attacker import attacks
from demo.service import password_of
from demo.visitors import Line, Visit, innocent
from tests.demo.console import FakeConsole

TOKEN = {"AIVILLAGE_CONSOLE_TOKEN": "obs_test"}


def waited(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def console() -> Iterator[FakeConsole]:
    with FakeConsole() as made:
        yield made


@pytest.fixture(scope="module")
def port(console: FakeConsole) -> Iterator[int]:
    child = children.start("demo.service", ["--url", console.url, "--poll", "0.2"], TOKEN)
    try:
        yield int(child.first_word()["port"])
    finally:
        child.stop()


@pytest.fixture
def line(port: int) -> Iterator[Line]:
    made = Line(port)
    yield made
    made.close()


def events(console: FakeConsole, **wanted: str) -> list[dict[str, Any]]:
    rows = console.rows.get("security-events", [])
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def test_a_right_password_is_let_in_and_a_wrong_one_is_not(line: Line) -> None:
    right = {"user": "ada.1", "password": password_of("ada.1")}
    statuses = [line.send(Visit("/api/login", "ada.1", "192.168.20.10", right)) for _ in range(5)]
    assert statuses.count(200) >= 4  # one in a hundred is an injected error
    wrong = Visit("/api/login", "ada.1", "192.168.20.10", {"user": "ada.1", "password": "no"})
    assert line.send(wrong) in (401, 500)


@pytest.mark.parametrize("path", ["/api/search", "/api/upload"])
def test_endpoints_answer(path: str, line: Line) -> None:
    assert {line.send(Visit(path, "ben.1", "192.168.20.11", {"query": "x"})) for _ in range(3)} <= {200, 201, 500}


def test_what_is_not_there_is_not_found(line: Line) -> None:
    assert line.send(Visit("/admin", "ben.1", "192.168.20.11")) == 404


def test_every_attack_reaches_the_console_under_the_address_of_its_attacker(console: FakeConsole, port: int) -> None:
    made = attacks(0)
    line = Line(port)
    for attack in made:
        attack.run(line, lambda _seconds: None)
    line.close()
    assert {attack.name: attack.sent for attack in made} == {
        "brute force": 15, "injection scan": 6, "flood": 500, "spraying": 40, "stuffing": 80,
    }  # fmt: skip
    assert waited(lambda: len(events(console, event_type="auth_failure", source_ip="10.0.0.100")) >= 13)
    assert waited(lambda: len(events(console, event_type="sql_injection_attempt", source_ip="10.0.0.101")) >= 5)
    counted = lambda: sum(  # noqa: E731
        int(row["details"]["count"])
        for row in events(console, event_type="api_request")
        if row["source_ip"] in made[2].addresses
    )
    assert waited(lambda: counted() == 500)
    assert {row["user_id"] for row in events(console, source_ip="10.0.0.102")} == {"bot_10.0.0.102"}


def test_whom_the_console_blocks_is_turned_away(console: FakeConsole, line: Line) -> None:
    visit = Visit("/api/search", "someone", "10.9.9.9", {"query": "hello"})
    assert line.send(visit) in (200, 500)
    console.blocked.add("10.9.9.9")
    assert waited(lambda: line.send(visit) == 403)
    console.blocked.clear()
    assert waited(lambda: line.send(visit) in (200, 500))


def test_requests_are_measured(console: FakeConsole, line: Line) -> None:
    line.send(Visit("/api/search", "cleo.1", "192.168.20.12", {"query": "measured"}))
    names = lambda: {row["name"] for row in console.rows.get("metrics", [])}  # noqa: E731
    assert waited(lambda: {"http_requests_total", "response_time_ms_bucket", "hyperrag_queries_total"} <= names())


def test_the_load_is_bounded_and_ends(port: int) -> None:
    child = children.start("demo.load", ["--port", str(port), "--rate", "20", "--seconds", "2"], {})
    words = list(child.words())
    child.stop()
    assert child.process.returncode == 0
    assert 10 <= sum(words[0]["statuses"].values()) <= 45
    assert set(words[0]["statuses"]) <= {"200", "201", "401", "500"}


def test_a_child_ends_when_its_parent_lets_go() -> None:
    child = children.start("demo.load", ["--port", "9", "--rate", "1", "--seconds", "60"], {})
    assert child.running()
    child.stop()
    assert not child.running()


def test_runs_attack_from_addresses_of_their_own() -> None:
    first, second = ({address for attack in attacks(run) for address in attack.addresses} for run in (0, 1))
    assert "10.0.0.100" in first
    assert not first & second


def test_innocent_people_stay_below_the_rate_limits() -> None:
    visits = list(islice(innocent(random.Random(1)), 480))
    for limit, path in ((60, "/api/search"), (30, "/api/chat"), (10, "/api/upload"), (5, "/api/login")):
        users = [visit.user for visit in visits if visit.path == path]
        assert max(users.count(user) for user in set(users)) <= limit
