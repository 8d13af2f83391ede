"""Security's pages: what they say empty and under attack, to whom, and how a block is made and lifted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.models import Alert, Rule, RuleGroup
from security import asked, pictures
from security.models import AllowEntry, Block, Finding, SecurityEvent

HOSTILE = "<script>alert(1)</script>"
QUERIES = {"/security/": 23, "/security/findings/": 5, "/security/blocks/": 12}


@pytest.fixture
def finding(db: None) -> Finding:
    """Return a critical finding about one address, with a hostile text in it."""
    now = datetime.now(UTC)
    event = SecurityEvent.objects.create(
        at=now, received_at=now, due_at=now, detected_at=now, event_type="sql_injection_attempt", signal="other",
        user_id="mallory", source_ip="203.0.113.9", endpoint="/api/search", threat_score=1.0, band="critical",
        details={"input_data": f"' OR 1=1 -- {HOSTILE}"},
    )  # fmt: skip
    reason = {"code": "tautology", "text": "a condition that is always true", "weight": 0.7, "excerpt": HOSTILE}
    return Finding.objects.create(
        event=event, detector="sql_injection", score=1.0, band="critical", reasons=[reason], at=now, found_at=now,
        event_type=event.event_type, user_id="mallory", source_ip="203.0.113.9", endpoint="/api/search",
    )  # fmt: skip


@pytest.mark.parametrize("path", QUERIES)
def test_a_viewer_reads_each_page_with_exactly_the_queries_it_is_known_for(
    person: Any, finding: Finding, path: str
) -> None:
    viewer = person("viewer")
    viewer.get(path)
    with CaptureQueriesContext(connection) as queries:
        answer = viewer.get(path)
    asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert (answer.status_code, len(asked)) == (200, QUERIES[path]), asked


def test_without_events_the_overview_says_that_silence_means_nothing(person: Any) -> None:
    body = person("viewer").get("/security/").content.decode()
    assert ("No events yet" in body, "/api/v1/ingest/security-events" in body) == (True, True)


def test_under_attack_the_overview_says_how_bad_from_where_and_what_was_done(person: Any, finding: Finding) -> None:
    body = person("viewer").get("/security/").content.decode()
    assert "1 critical event from 1 address, 0 kept out" in " ".join(body.split())
    assert [word in body for word in ("203.0.113.9", "mallory", "a condition that is always true")] == [True] * 3


def test_what_an_attacker_sent_is_shown_as_inert_text(person: Any, finding: Finding) -> None:
    body = person("viewer").get(f"/security/events/{finding.event_id}/").content.decode()
    assert ("&lt;script&gt;alert(1)" in body, HOSTILE in body) == (True, False)


def test_findings_can_be_narrowed_by_address_and_by_user(person: Any, finding: Finding) -> None:
    viewer = person("viewer")
    shown = [
        f"finding-{finding.pk}" in viewer.get(f"/security/findings/?{query}").content.decode()
        for query in ("ip=203.0.113.9", "user=mallory", "ip=203.0.113.8", "ip=nonsense", "band=low", "detector=xss")
    ]
    assert shown == [True, True, False, False, False, False]


def test_detectors_are_named_as_people_call_them(person: Any, finding: Finding) -> None:
    viewer = person("viewer")
    for path in ("/security/", "/security/findings/", f"/security/events/{finding.event_id}/"):
        assert ("SQL injection" in viewer.get(path).content.decode(), path) == (True, path)
    chosen = '<option value="sql_injection" selected>SQL injection</option>'
    assert chosen in viewer.get("/security/findings/?detector=sql_injection").content.decode()


def test_a_user_to_whom_it_was_done_is_marked_as_target_and_not_offered_to_be_blocked(
    person: Any, finding: Finding
) -> None:
    offer = "?scope=user&amp;value=mallory"
    viewer = person("viewer")
    assert offer in viewer.get("/security/").content.decode()
    Finding.objects.filter(pk=finding.pk).update(user_is_target=True, score=0.6, attack_score=0.9, band="medium")
    body = viewer.get("/security/").content.decode()
    assert (offer in body, ">target</span>" in body, "one critical attack from many addresses" in body) == (
        False, True, True,
    )  # fmt: skip


def test_an_event_that_is_not_there_is_a_designed_404(person: Any) -> None:
    assert person("viewer").get("/security/events/987654/").status_code == 404


def test_a_responder_blocks_and_lets_in_again_with_reasons(person: Any, finding: Finding) -> None:
    responder = person("responder")
    form = {"scope": "ip", "value": "203.0.113.9", "duration": "1 hour", "reason": "sql injection"}
    said = responder.post("/security/blocks/add/", form, follow=True).content.decode()
    block = Block.objects.get(value="203.0.113.9")
    assert "203.0.113.9 is kept out until" in said
    assert block.expires_at - block.created_at == timedelta(hours=1)
    responder.post(f"/security/blocks/{block.pk}/lift/", {"reason": "a scanner of ours"})
    block.refresh_from_db()
    assert block.lifted_because == "a scanner of ours"


def test_a_block_without_a_reason_is_refused_and_keeps_what_was_typed(person: Any) -> None:
    form = {"scope": "ip", "value": "203.0.113.9", "duration": "1 hour", "reason": ""}
    body = person("responder").post("/security/blocks/add/", form, follow=True).content.decode()
    assert ("Say why" in body, 'value="203.0.113.9"' in body, Block.objects.exists()) == (True, True, False)


def test_the_preview_says_who_else_would_be_kept_out(person: Any, finding: Finding) -> None:
    now = datetime.now(UTC) - timedelta(minutes=1)
    SecurityEvent.objects.create(
        at=now, received_at=now, due_at=now, detected_at=now, event_type="auth_success", signal="success",
        user_id="alice", source_ip="203.0.113.9",
    )  # fmt: skip
    responder = person("responder")
    path = "/security/blocks/?fragment=preview"
    body = responder.get(f"{path}&scope=ip&value=203.0.113.9").content.decode()
    assert ("Would also have kept out 1 user" in body, "alice" in body) == (True, True)
    assert "form-error" in responder.get(f"{path}&scope=ip&value=nonsense").content.decode()


def test_a_viewer_sees_why_the_controls_are_closed(person: Any) -> None:
    viewer = person("viewer")
    assert "Needs role responder" in viewer.get("/security/blocks/").content.decode()
    assert viewer.post("/security/blocks/add/", {"scope": "ip", "value": "203.0.113.9"}).status_code == 403


def test_an_editor_says_who_is_never_blocked(person: Any) -> None:
    editor = person("editor")
    editor.post("/security/allowed/add/", {"scope": "cidr", "value": "198.51.100.0/24", "reason": "our office"})
    entry = AllowEntry.objects.get(value="198.51.100.0/24")
    editor.post(f"/security/allowed/{entry.pk}/remove/", {"reason": "we moved"})
    entry.refresh_from_db()
    assert entry.removed_by == "editor@example.org"


def test_bars_are_stacked_and_small_counts_stay_visible() -> None:
    bars = pictures.stacked([{"critical": 0, "low": 0}, {"critical": 1, "low": 999}], ["critical", "low"])
    assert (bars.width, bars.most) == (20, 1000)
    assert [band for band, _ in bars.paths] == ["critical", "low"]
    assert "v2.00" in dict(bars.paths)["critical"]


def test_heat_has_four_levels_and_draws_every_count_above_zero() -> None:
    assert [level for level, _ in pictures.heat([0, 1, 100], 100)] == [1, 4]
    assert pictures.heat([0, 0], 0) == []


def test_an_alert_of_a_finding_shows_it_with_its_reasons_and_leads_to_the_block(person: Any, finding: Finding) -> None:
    now = datetime.now(UTC)
    group = RuleGroup.objects.create(name="of the test", due_at=now)
    rule = Rule.objects.create(group=group, name="Attack", kind="security_event", spec={"min_score": 0.7})
    case = asked.ask(rule.spec, 300, now)[0]
    alert = Alert.objects.create(
        fingerprint="a" * 64, name="Attack", rule=rule, state="firing", severity=case.severity, value=case.value,
        labels=dict(case.labels), annotations=dict(case.annotations),
        evidence={"kind": rule.kind, "facts": dict(case.evidence)}, started_at=now,
        updated_at=now,
    )  # fmt: skip
    body = person("viewer").get(f"/alerts/{alert.pk}/").content.decode()
    assert [word in body for word in ("a condition that is always true", "Block 203.0.113.9…", HOSTILE)] == [
        True,
        True,
        False,
    ]
