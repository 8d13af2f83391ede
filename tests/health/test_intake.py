"""Results that services report through the native door."""

import json
from typing import Any

import pytest
from django.test import Client

from aivillage_console.accounts.services import Actor, source_named, token_issue
from aivillage_console.lib import clock
from health.models import Check, CheckResult, Component
from health.services import ensure_own
from tests.health.conftest import check_of

pytestmark = pytest.mark.django_db
DOOR = "/api/v1/ingest/health-results"


def token(source: str = "rag", scope: str = "ingest:health") -> str:
    made = source_named(source)
    return token_issue(name=source, kind="ingest", scopes=[scope], actor=Actor.system("test"), now=clock.now(),
                       source=made)[1]  # fmt: skip


def send(*rows: dict[str, Any], key: str = "", batch: str = "b1") -> Any:
    body = json.dumps({"batch_id": batch, "rows": list(rows)})
    return Client().post(DOOR, body, content_type="application/json", headers={"Authorization": f"Bearer {key}"})


def row(**changes: Any) -> dict[str, Any]:
    return {"component": "hyperrag", "check": "index", "status": "healthy", **changes}


def reasons(answer: Any) -> dict[int, str]:
    return {one["row"]: one["reason"] for one in answer.json()["rejected"]}


def test_a_first_result_makes_component_and_check() -> None:
    sent = row(duration_ms=12.5, message="fresh", kind="memory-system", owner="eva", depends_on=["neo4j"])
    answer = send(sent, key=token())
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    made, check = Component.objects.get(), Check.objects.get()
    assert (made.name, made.kind, made.owner, made.discovered_from) == ("hyperrag", "memory-system", "eva", "check")
    assert made.depends_on == [{"name": "neo4j", "type": "http_api", "critical": False}]
    assert (check.kind, check.last_status, check.last_duration_ms, check.last_detail) == (
        "reported", "healthy", 12.5, "fresh"
    )  # fmt: skip
    assert made.last_seen_at is not None


def test_the_same_batch_again_changes_nothing() -> None:
    key = token()
    send(row(), key=key)
    assert send(row(), key=key).json()["duplicate"] is True
    assert CheckResult.objects.count() == 1


def test_the_good_rows_of_a_batch_are_kept_and_the_others_say_why() -> None:
    ensure_own(now=clock.now())
    check_of("ping", of="known")
    answer = send(
        row(), row(status="fine"), row(component=""), row(check="x" * 121), row(component="<b>"),
        row(at_ms=1_000), row(duration_ms=-1), row(component="console-redis"),
        row(component="known", check="ping"), row(depends_on=["a"] * 51), row(nope=1), key=token(),
    )  # fmt: skip
    found = reasons(answer)
    assert answer.json()["accepted"] == 1
    assert sorted(found) == list(range(1, 11))
    words = {5: "time window", 7: "part of the console", 8: "run by the console", 9: "at most 50", 4: "Letters, digits"}
    assert {number: word in found[number] for number, word in words.items()} == dict.fromkeys(words, True)


def test_another_source_may_not_speak_for_a_check() -> None:
    send(row(), key=token("one"))
    found = reasons(send(row(status="unhealthy"), row(check="mine"), key=token("two")))
    assert found == {0: "'index' of 'hyperrag' is reported by another source"}
    assert Check.objects.get(name="index").last_status == "healthy"


def test_order_and_lateness_do_not_matter() -> None:
    now_ms = int(clock.now().timestamp() * 1000)
    key = token()
    send(row(status="unhealthy", at_ms=now_ms), key=key, batch="b1")
    send(row(status="healthy", at_ms=now_ms - 5_000), key=key, batch="b2")
    assert Check.objects.get().last_status == "unhealthy"
    assert CheckResult.objects.count() == 2


def test_what_a_person_registered_stays_as_it_was_written() -> None:
    Component.objects.create(name="hyperrag", kind="memory", owner="adam")
    send(row(kind="other", owner="eva"), key=token())
    made = Component.objects.get()
    assert (made.kind, made.owner) == ("memory", "adam")


def test_a_token_without_the_scope_is_refused() -> None:
    assert send(row(), key=token(scope="ingest:metrics")).status_code == 403
