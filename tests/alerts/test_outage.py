"""The alerts door and the pages while PostgreSQL is really gone: 503, never a yes, and never a 500."""

import signal
import time

import httpx

from bench import roles
from bench.harness import Console, running_console

PATIENCE_SECONDS = 60


def send(console: Console, token: str, number: int) -> httpx.Response:
    alert = {"labels": {"alertname": "Outage", "number": str(number)}}
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{console.url}/api/v2/alerts", json=[alert], headers=headers, timeout=30)


def test_while_postgresql_is_down_the_door_and_the_pages_say_503_and_when_to_come_again() -> None:
    with running_console() as console:
        made = roles.furnish(roles.environment(console), {"scopes": ["ingest:alerts"], "session": True})
        assert send(console, made["token"], 0).status_code == 200
        console.process.send_signal(signal.SIGSTOP)  # so that nobody brings the server back
        try:
            assert roles.kill(roles.by_role(console)["postgres"]) > 1
            # A token that is still remembered, and one that has to be looked up, which is after its four seconds.
            answers = [send(console, made["token"], 1)]
            time.sleep(4.5)
            answers += [send(console, made["token"], number) for number in range(2, 5)]
            paths = ("/", "/alerts/", "/setup/", "/api/v1/alerts/")
            answers += [httpx.get(f"{console.url}{path}", cookies=made["cookies"], timeout=30) for path in paths]
        finally:
            console.process.send_signal(signal.SIGCONT)
        assert [answer.status_code for answer in answers] == [503] * len(answers)
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
        assert answers[0].json()["code"] == 503
        until = time.monotonic() + PATIENCE_SECONDS
        while send(console, made["token"], 5).status_code != 200:
            assert time.monotonic() < until, "the door did not recover"
            time.sleep(0.2)
