"""Alerts that begin are put into incidents by rules, in the transaction that decides of them."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aivillage_console.lib import clock
from alerts.engine.episodes import Seen
from alerts.models import (
    Alert,
    AlertSettings,
    CorrelationRule,
    Incident,
    IncidentEvent,
    IncidentMember,
    Notification,
    Quieted,
)
from alerts.pipeline import Observation
from alerts.services import observe
from alerts.services.batches import observe_many
from alerts.services.defaults import ensure_defaults
from alerts.services.incident_upkeep import SETTLE, incidents_retain, incidents_upkeep
from alerts.services.unquieting import unquiet_due
from tests.alerts.conftest import channel_at, policy_with

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def rule(**fields: Any) -> CorrelationRule:
    """Return the rule that joins what has one component."""
    return CorrelationRule.objects.create(**{"name": "Same component", "group_key": ["component"], **fields})


def seen(name: str, component: str = "rag", kind: Seen = Seen.FIRING, **fields: Any) -> Observation:
    labels = {"component": component} if component else {}
    return Observation(**{"name": name, "labels": labels, "seen": kind, "severity": "high", **fields})


def fire(name: str, component: str = "rag", *, after_seconds: float = 0, **fields: Any) -> Alert:
    observe(seen(name, component, **fields), now=NOW + timedelta(seconds=after_seconds))
    return Alert.objects.get(name=name)


def clear(name: str, component: str = "rag", *, after_seconds: float = 0) -> None:
    observe(seen(name, component, Seen.CLEAR), now=NOW + timedelta(seconds=after_seconds))


def members() -> dict[str, int]:
    return {row.alert.name: row.incident_id for row in IncidentMember.objects.filter(current=True)}


def upkeep(after_seconds: float) -> None:
    incidents_upkeep(now=NOW + timedelta(seconds=after_seconds))


def states() -> list[str]:
    return list(Incident.objects.order_by("pk").values_list("state", flat=True))


def test_alerts_of_one_component_are_one_incident_and_say_why() -> None:
    rule()
    fire("Slow", severity="medium")
    fire("Broken", after_seconds=20, severity="critical")
    fire("Elsewhere", "p2p")
    fire("Nowhere", "")
    one, two = Incident.objects.order_by("pk")
    assert members() == {"Slow": one.pk, "Broken": one.pk, "Elsewhere": two.pk}
    assert (one.name, one.severity, one.alerts, one.key) == ("Same component: rag", "critical", 2, {"component": "rag"})
    why = IncidentMember.objects.get(alert__name="Broken")
    assert (why.rule_name, why.values, why.distance_seconds) == ("Same component", {"component": "rag"}, 20)
    assert list(one.events.values_list("kind", flat=True)) == ["opened", "joined"]
    stage = next(each for each in Alert.objects.get(name="Broken").decisions if each["stage"] == "correlate")
    assert (stage["verdict"], stage["reason"].startswith(f"joined incident #{one.pk} 20 s after")) == ("joins", True)


def test_a_rule_that_is_off_joins_nothing() -> None:
    rule(enabled=False)
    fire("Slow")
    assert Incident.objects.count() == 0


def test_with_correlation_switched_off_nothing_is_joined_or_kept_back(sparing: CorrelationRule) -> None:
    fire("A1")
    fire("A2")
    fire("A3")
    AlertSettings.objects.update_or_create(pk=1, defaults={"enable_correlation": False})
    fire("A4")
    assert ("A4" in members(), told()["A4"]) == (False, "due")
    assert unquiet_due(now=NOW + timedelta(seconds=30)) == 1


def test_the_shipped_rules_only_list() -> None:
    ensure_defaults(now=NOW)
    ensure_defaults(now=NOW)
    rows = CorrelationRule.objects.values_list("name", "notify", "enabled")
    assert list(rows) == [("Same component", "each", True), ("Same host", "each", True)]


def test_after_the_window_another_incident_has_the_key() -> None:
    rule(time_window_seconds=60)
    fire("First")
    fire("Second", after_seconds=61)
    one, two = Incident.objects.order_by("pk")
    assert (one.open_key, bool(two.open_key), one.state) == ("", True, "open")
    fire("Third", after_seconds=62)
    assert members()["Third"] == two.pk


def test_it_resolves_a_while_after_its_last_alert_and_goes_on_within_the_window() -> None:
    rule()
    fire("One")
    fire("Two", after_seconds=1)
    clear("One", after_seconds=5)
    upkeep(6)
    assert Incident.objects.get().settle_at is None
    clear("Two", after_seconds=10)
    upkeep(11)
    assert states() == ["open"]
    fire("Two", after_seconds=12)
    upkeep(13)
    assert Incident.objects.get().settle_at is None
    clear("Two", after_seconds=14)
    upkeep(15)
    upkeep(15 + SETTLE.total_seconds())
    assert states() == ["resolved"]
    assert Incident.objects.get().resolved_because == "its alerts have ended"
    fire("Two", after_seconds=100)
    row = Incident.objects.get()
    assert (row.state, row.alerts, row.resolved_at) == ("open", 2, None)
    fire("Three", after_seconds=101)
    assert set(members().values()) == {row.pk}
    kinds = list(row.events.values_list("kind", flat=True))
    assert kinds == ["opened", "joined", "resolved", "reopened", "joined"]


def test_long_after_it_ended_an_alert_is_in_a_new_one() -> None:
    rule(time_window_seconds=60)
    fire("One")
    clear("One", after_seconds=5)
    upkeep(6)
    upkeep(70)
    fire("One", after_seconds=500)
    one, two = Incident.objects.order_by("pk")
    left = IncidentMember.objects.get(incident=one)
    assert (left.current, left.left_because) == (False, f"it fired anew, in incident #{two.pk}")
    assert members() == {"One": two.pk}


def test_a_batch_is_one_incident() -> None:
    rule()
    assert observe_many([seen(f"A{n}") for n in range(30)], now=NOW) == 0
    row = Incident.objects.get()
    assert (row.alerts, IncidentMember.objects.filter(incident=row).count(), row.events.count()) == (30, 30, 30)
    observe_many([seen(f"A{n}", severity="critical") for n in range(25, 35)], now=NOW + timedelta(seconds=9))
    row.refresh_from_db()
    assert (row.alerts, row.severity, Incident.objects.count()) == (35, "critical", 1)


def test_a_larger_batch_asks_the_database_no_more() -> None:
    rule()
    asked = []
    for first, count in ((0, 5), (100, 5), (200, 60)):
        with CaptureQueriesContext(connection) as queries:
            observe_many([seen(f"A{first + n}", f"c{first}") for n in range(count)], now=NOW)
        asked.append(len(queries))
    assert asked[1] == asked[2] < 40


@pytest.fixture
def sparing(db: None) -> CorrelationRule:
    """Return a rule that tells of the first and of growth, and a policy that tells one channel."""
    policy_with((0, [channel_at("https://93.184.216.34/hook")]), is_default=True)
    return rule(notify="first_and_growth")


def told() -> dict[str, str]:
    """Return by alert what became of its beginning."""
    rows = Notification.objects.filter(kind="fire").order_by("pk")
    return {row.payload["alert_name"]: row.cancelled_because or row.state for row in rows}


def test_a_sparing_rule_tells_the_first_and_growth_and_keeps_one_reason_for_the_rest(sparing: CorrelationRule) -> None:
    for number in range(1, 10):
        fire(f"A{number}", after_seconds=number)
    row = Incident.objects.get()
    listed = f"joined incident #{row.pk}, of which somebody was told"
    heard = told()
    assert [name for name, what in heard.items() if what == "due"] == ["A1", "A2", "A4", "A8"]
    assert {what for what in heard.values() if what != "due"} == {listed}
    assert set(Quieted.objects.values_list("kind", "reason")) == {("incident", listed)}
    assert Quieted.objects.count() == 5
    fire("Worse", after_seconds=20, severity="critical")
    assert told()["Worse"] == "due"


def test_a_batch_under_a_sparing_rule_tells_as_few(sparing: CorrelationRule) -> None:
    observe_many([seen(f"A{n}") for n in range(20)], now=NOW)
    assert sum(what == "due" for what in told().values()) == 5
    assert IncidentMember.objects.filter(listed=True).count() == 15


def test_a_listed_alert_is_told_once_nobody_who_was_told_is_left(sparing: CorrelationRule) -> None:
    for number in range(1, 4):
        fire(f"A{number}", after_seconds=number)
    clear("A1", after_seconds=10)
    upkeep(11)
    assert told()["A3"].startswith("joined incident")
    clear("A2", after_seconds=12)
    upkeep(13)
    assert IncidentMember.objects.get(alert__name="A3").listed is False
    assert unquiet_due(now=NOW + timedelta(seconds=14)) == 1
    alert = Alert.objects.get(name="A3")
    assert list(alert.events.values_list("kind", flat=True))[-1:] == ["unquieted"] or alert.repeat_no == 1
    assert Incident.objects.get().events.filter(kind="told", alert_number=alert.pk).exists()


def test_a_listed_alert_that_gets_worse_than_what_was_told_is_told(sparing: CorrelationRule) -> None:
    for number in range(1, 4):
        fire(f"A{number}", after_seconds=number)
    fire("A3", after_seconds=9, severity="critical")
    assert IncidentMember.objects.get(alert__name="A3").listed is False
    assert Incident.objects.get().severity == "critical"
    assert unquiet_due(now=NOW + timedelta(seconds=15)) == 1


def test_where_the_first_was_told_nobody_the_next_is_told(sparing: CorrelationRule) -> None:
    fire("A1")
    fire("A2", after_seconds=1)
    Notification.objects.update(state="failed", finished_at=NOW)
    fire("A3", after_seconds=2)
    assert told()["A3"] == "due"


def test_messages_name_the_incident(sparing: CorrelationRule) -> None:
    fire("A1")
    fire("A2", after_seconds=1)
    row = Incident.objects.get()
    payload = Notification.objects.get(payload__alert_name="A2").payload
    assert payload["incident"]["url"].endswith(f"/incidents/{row.pk}/")
    assert {**payload["incident"], "url": ""} == {"id": row.pk, "name": row.name, "alerts": 2, "url": ""}
    fire("Alone", "")
    assert Notification.objects.get(payload__alert_name="Alone").payload["incident"] is None


def test_old_incidents_are_dropped_with_their_story() -> None:
    rule()
    fire("One")
    clear("One", after_seconds=1)
    upkeep(2)
    upkeep(70)
    assert incidents_retain(now=NOW + timedelta(days=29)) == 0
    assert incidents_retain(now=NOW + timedelta(days=31)) == 1
    assert (Incident.objects.count(), IncidentEvent.objects.count(), Alert.objects.count()) == (0, 0, 1)


@pytest.mark.django_db(transaction=True)
def test_alerts_at_once_open_one_incident() -> None:
    rule()
    gate = threading.Barrier(6)
    failed: list[BaseException] = []

    def begin(number: int, now: datetime) -> None:
        try:
            gate.wait(10)
            for component in ("rag", "p2p") if number % 2 else ("p2p", "rag"):
                observe(seen(f"A{number}", component), now=now)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=begin, args=(number, clock.now())) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failed == []
    assert list(Incident.objects.order_by("name").values_list("name", "alerts")) == [
        ("Same component: p2p", 6), ("Same component: rag", 6)
    ]  # fmt: skip
    assert IncidentMember.objects.filter(current=True).count() == 12
