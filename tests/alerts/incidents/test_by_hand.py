"""What people do to incidents: versioned, audited, and told in their story."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from aivillage_console.accounts.models import AuditEntry, User
from aivillage_console.accounts.services import Actor
from alerts import services
from alerts.models import Alert, Incident, IncidentEvent, IncidentMember
from alerts.services.actions import NotPossible
from tests.alerts.incidents.test_correlating import NOW, clear, fire, members, rule, states, upkeep

pytestmark = pytest.mark.django_db
ALICE = Actor(kind="user", id="1", label="alice")


def did(verb: str, row: Incident, **more: Any) -> Any:
    """Do something to an incident in the version it has now."""
    row.refresh_from_db()
    act = getattr(services, f"incident_{verb}")
    return act(incident_id=row.pk, version=row.version, actor=ALICE, now=NOW + timedelta(seconds=50), **more)


def kinds(row: Incident) -> list[str]:
    return list(row.events.values_list("kind", flat=True))


@pytest.fixture
def pair(db: None) -> tuple[Incident, Incident]:
    """Return two incidents: of Slow and Broken, and of Elsewhere."""
    rule()
    fire("Slow", severity="medium")
    fire("Broken", after_seconds=1)
    fire("Elsewhere", "p2p", after_seconds=2, severity="critical")
    one, two = Incident.objects.order_by("pk")
    return one, two


def test_who_saw_an_older_version_is_refused_with_the_fresh_incident(pair: tuple[Incident, Incident]) -> None:
    one, _ = pair
    did("note", one, reason="looking")
    with pytest.raises(services.StaleIncident) as stale:
        services.incident_note(incident_id=one.pk, version=one.version, actor=ALICE, reason="late", now=NOW)
    assert stale.value.incident.version == one.version + 1
    assert kinds(one) == ["opened", "joined", "note"]


def test_acknowledging_it_acknowledges_the_alerts_that_nobody_has(pair: tuple[Incident, Incident]) -> None:
    one, _ = pair
    clear("Slow", after_seconds=5)
    row = did("acknowledge", one, reason="mine")
    assert (row.acked_by, kinds(one)[-1]) == ("alice", "acknowledged")
    found = {alert.name: alert.acked_by for alert in Alert.objects.all()}
    assert found == {"Slow": "", "Broken": "alice", "Elsewhere": ""}
    assert AuditEntry.objects.filter(action__in=["incident.acknowledged", "alert.acknowledged"]).count() == 2


def test_resolving_it_resolves_its_alerts_and_the_next_one_opens_another(pair: tuple[Incident, Incident]) -> None:
    one, _ = pair
    did("resolve", one, reason="restarted")
    assert [alert.state for alert in Alert.objects.order_by("pk")] == ["resolved", "resolved", "firing"]
    with pytest.raises(NotPossible, match="resolved already"):
        did("resolve", one)
    with pytest.raises(NotPossible, match="nothing to acknowledge"):
        did("acknowledge", one)
    fire("Third", after_seconds=60)
    assert members()["Third"] not in (one.pk, None)


def test_merging_takes_all_in_and_what_comes_later_too(pair: tuple[Incident, Incident]) -> None:
    one, two = pair
    did("merge", one, others=[two.pk])
    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.alerts, one.severity, two.merged_into, two.state, two.alerts) == (3, "critical", one, "resolved", 0)
    assert two.resolved_because == f"merged into incident #{one.pk}"
    assert set(members().values()) == {one.pk}
    fire("More", "p2p", after_seconds=60)
    assert members()["More"] == one.pk
    with pytest.raises(NotPossible, match=f"merged into incident #{one.pk}"):
        did("note", two, reason="x")
    with pytest.raises(NotPossible, match="merged before"):
        did("merge", one, others=[two.pk])
    with pytest.raises(NotPossible, match="Name the number"):
        did("merge", one, others=[one.pk])
    assert (kinds(one)[-2:], kinds(two)[-1]) == (["merged", "joined"], "merged")


def test_merged_twice_the_first_still_points_to_the_last(pair: tuple[Incident, Incident]) -> None:
    one, two = pair
    fire("Third", "gateway", after_seconds=3)
    three = Incident.objects.exclude(pk__in=[one.pk, two.pk]).get()
    did("merge", two, others=[one.pk])
    did("merge", three, others=[two.pk])
    one.refresh_from_db()
    assert one.merged_into == three
    fire("Again", "rag", after_seconds=30)
    assert members()["Again"] == three.pk


def test_splitting_parts_some_and_keeps_the_history(pair: tuple[Incident, Incident]) -> None:
    one, _ = pair
    broken = Alert.objects.get(name="Broken")
    row, fresh = did("split", one, alerts=[broken.pk], name="The broken part")
    assert (row.alerts, row.severity, fresh.alerts, fresh.severity) == (1, "medium", 1, "high")
    assert (fresh.name, fresh.open_key, fresh.rule) == ("The broken part", "", None)
    left = IncidentMember.objects.get(incident=one, alert=broken)
    assert (left.current, left.left_because) == (False, f"split into incident #{fresh.pk}")
    assert IncidentMember.objects.get(incident=fresh, alert=broken).reason.endswith(f"split from incident #{one.pk}")
    with pytest.raises(NotPossible, match="leave some"):
        did("split", one, alerts=[Alert.objects.get(name="Slow").pk])
    fire("New", after_seconds=60)
    assert members()["New"] == one.pk


def test_an_alert_that_was_taken_out_stays_out(pair: tuple[Incident, Incident]) -> None:
    one, _ = pair
    broken = Alert.objects.get(name="Broken")
    did("remove", one, alerts=[broken.pk], reason="another matter")
    assert members() == {"Slow": one.pk, "Elsewhere": pair[1].pk}
    clear("Broken", after_seconds=60)
    fire("Broken", after_seconds=70)
    assert "Broken" not in members()
    with pytest.raises(NotPossible, match="None of these"):
        did("remove", one, alerts=[broken.pk])


def test_an_alert_is_put_into_one_by_hand_and_leaves_the_other(pair: tuple[Incident, Incident]) -> None:
    one, two = pair
    elsewhere = Alert.objects.get(name="Elsewhere")
    did("add", one, alerts=[elsewhere.pk])
    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.alerts, one.severity, two.alerts, two.state) == (3, "critical", 0, "resolved")
    assert IncidentMember.objects.get(alert=elsewhere, current=True).added_by == "alice"
    with pytest.raises(NotPossible, match="already"):
        did("add", one, alerts=[elsewhere.pk])
    with pytest.raises(NotPossible, match="There is no alert"):
        did("add", one, alerts=[10**9])


def test_an_incident_is_made_by_hand_and_ends_with_its_alerts() -> None:
    alerts = [fire(name, "").pk for name in ("One", "Two")]
    row = services.incident_make(alerts=alerts, actor=ALICE, name="", now=NOW)
    assert (row.name, row.alerts, row.rule_name, kinds(row)) == ("One and 1 more", 2, "", ["opened"])
    clear("One", "", after_seconds=5)
    clear("Two", "", after_seconds=6)
    upkeep(7)
    upkeep(70)
    assert states() == ["resolved"]
    fire("Two", "", after_seconds=80)
    assert states() == ["open"]
    with pytest.raises(NotPossible, match="Name 1 to"):
        services.incident_make(alerts=[10**9], actor=ALICE, now=NOW)


def test_it_is_renamed_assigned_and_noted(pair: tuple[Incident, Incident]) -> None:
    one, _ = pair
    user = User.objects.create_user("bob@example.org", None)
    did("rename", one, name="  RAG is down ")
    row = did("assign", one, assignee_id=user.pk)
    did("note", one, reason="restarting")
    assert (row.name, row.assignee) == ("RAG is down", user)
    assert kinds(one)[-3:] == ["renamed", "assigned", "note"]
    renamed = IncidentEvent.objects.get(kind="renamed")
    assert (renamed.actor, renamed.data) == ("alice", {"was": "Same component: rag", "name": "RAG is down"})
    for verb, more in (("rename", {"name": " "}), ("note", {"reason": " "})):
        with pytest.raises(NotPossible):
            did(verb, one, **more)


def test_an_incident_that_was_ended_while_an_alert_came_back_by_hand_goes_on(pair: tuple[Incident, Incident]) -> None:
    one, _ = pair
    did("resolve", one)
    alert = Alert.objects.get(name="Broken")
    services.alert_reopen(alert_id=alert.pk, version=alert.version, actor=ALICE, now=NOW + timedelta(seconds=55))
    upkeep(60)
    one.refresh_from_db()
    assert (one.state, kinds(one)[-1]) == ("open", "reopened")


def test_the_story_cannot_be_changed(pair: tuple[Incident, Incident]) -> None:
    for change in (lambda: IncidentEvent.objects.update(reason="x"), lambda: IncidentEvent.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
    assert IncidentEvent.objects.filter(incident=pair[0]).count() == 2
