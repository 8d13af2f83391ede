"""What people do at GitHub is done to the alert: once, in order, and by those who may."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from aivillage_console.accounts.models import AuditEntry, User
from aivillage_console.lib import clock, outbox
from alerts.models import Alert, Channel, Escalation, InboundHook, Link, Notification, Silence, WebhookIn
from alerts.services import alert_resolve, audit_and_repair, retain, sync, sync_due
from alerts.services.decide import SYSTEM
from tests.alerts.asked import at
from tests.alerts.conftest import Letterbox, channel_at, fire, policy_with
from tests.alerts.github import NUMBER, REPO, T0, comment, payload, post, state_of, story, told

pytestmark = pytest.mark.django_db(transaction=True)


def test_closing_the_issue_resolves_the_alert_and_says_who_and_by_which_message(
    hook: InboundHook, alert: Alert
) -> None:
    outcome = told(hook, payload("closed", issue={"state_reason": "not_planned"}), delivery="d-1")
    assert outcome == f"#{alert.pk} resolve: the issue was closed as not planned at GitHub"
    event = alert.events.get(kind="resolved")
    assert (event.actor_kind, event.actor) == ("github", "Codertocat (GitHub)")
    assert (event.reason, event.data["via"]) == ("the issue was closed as not planned at GitHub", "GitHub delivery d-1")
    entry = AuditEntry.objects.get(action="alert.resolved")
    assert (entry.actor_kind, entry.actor) == ("github", "Codertocat")
    assert (entry.after or {})["via"] == "GitHub delivery d-1"
    assert state_of(alert) == "resolved"


# Once.


def work(_number: int) -> None:
    try:
        sync_due(hand="celery")
    finally:
        connections.close_all()


def test_fifty_copies_at_once_are_one_transition(hook: InboundHook, alert: Alert) -> None:
    together = threading.Barrier(50)

    def send(_number: int) -> int:
        together.wait()
        try:
            return int(post(hook, payload("closed"), delivery="same").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(send, range(50)))
    assert sorted(statuses) == [200] * 49 + [202]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert story(alert) == ["started", "resolved"]
    assert AuditEntry.objects.filter(action="alert.resolved").count() == 1


@pytest.mark.parametrize("delivery", ["same", "another"])
def test_a_message_played_again_a_day_later_does_nothing(hook: InboundHook, alert: Alert, delivery: str) -> None:
    told(hook, payload("closed"), delivery="same")
    Alert.objects.update(resolved_at=clock.now() - timedelta(days=1), quiet=False)
    WebhookIn.objects.update(received_at=clock.now() - timedelta(days=1))
    fire()
    again = post(hook, payload("closed"), delivery=delivery)
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    sync_due(hand="celery")
    assert state_of(alert) == "firing"


def test_a_hand_that_dies_between_claim_and_finish_leaves_it_to_the_next_and_it_is_done_once(
    hook: InboundHook, alert: Alert
) -> None:
    post(hook, payload("closed"))
    now = clock.now()
    dead = outbox.claim(WebhookIn.objects.all(), now=now)[0]
    sync_due(hand="sweeper", read_clock=lambda: now + timedelta(seconds=1))
    assert state_of(alert) == "firing"
    sync_due(hand="sweeper", read_clock=lambda: now + timedelta(seconds=outbox.LEASE_SECONDS + 1))
    assert state_of(alert) == "resolved"
    sync._deal_with(dead, now + timedelta(seconds=20))
    assert story(alert) == ["started", "resolved"]


def test_what_was_done_and_its_outcome_commit_together(
    hook: InboundHook, alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(hook, payload("closed"))
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "finish", _fails)
        with pytest.raises(KeyboardInterrupt):
            sync_due(hand="celery")
    assert state_of(alert) == "firing"
    sync_due(hand="celery", read_clock=lambda: clock.now() + timedelta(seconds=11))
    assert story(alert) == ["started", "resolved"]


def _fails(*_args: Any, **_changes: Any) -> bool:
    raise KeyboardInterrupt


def test_a_poison_message_is_given_up_after_five_tries_and_holds_up_no_other(
    hook: InboundHook, alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    with monkeypatch.context() as patched:
        patched.setattr(sync, "apply", _raises)
        post(hook, payload("closed"), delivery="poison")
        for minute in range(1, 8):
            sync_due(hand="celery", read_clock=at(now + timedelta(minutes=minute)))
    row = WebhookIn.objects.get()
    assert (row.state, row.attempts) == ("quarantined", 5)
    assert row.outcome == "given up after 5 tries: LookupError: a hole"
    found = audit_and_repair(now=now + timedelta(minutes=10))
    assert found["webhooks_given_up"] == 1
    assert Alert.objects.get(labels__finding="webhooks_given_up").state == "firing"
    answer = post(hook, payload("closed"), delivery="poison")
    assert (answer.status_code, answer.json()["status"]) == (202, "again")
    sync_due(hand="celery")
    assert state_of(alert) == "resolved"


def _raises(*_args: Any) -> str:
    raise LookupError("a hole")


def test_a_message_that_kills_whoever_works_on_it_is_given_up_too(hook: InboundHook) -> None:
    post(hook, payload("closed"))
    now = clock.now()
    for minute in range(1, 6):
        assert outbox.claim(WebhookIn.objects.all(), now=now + timedelta(minutes=minute))
    sync_due(hand="celery", read_clock=lambda: now + timedelta(minutes=7))
    assert WebhookIn.objects.get().state == "quarantined"


def test_bodies_and_then_rows_are_let_go(hook: InboundHook) -> None:
    told(hook, payload("closed"))
    retain(now=clock.now() + timedelta(days=8))
    assert bytes(WebhookIn.objects.get().body) == b""
    assert post(hook, payload("closed")).status_code == 200
    retain(now=clock.now() + timedelta(days=91))
    assert WebhookIn.objects.count() == 0


# In order.


def test_reopening_takes_the_resolution_back_and_begins_the_policy_again(
    hook: InboundHook, alert: Alert, letterbox: Letterbox
) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    second = fire("Second")
    assert hook.channel is not None
    Link.objects.create(alert=second, channel=hook.channel, external_id=f"{REPO}#2")
    for action, minute in (("closed", 1), ("reopened", 2)):
        told(hook, payload(action, at=T0 + timedelta(minutes=minute), issue={"number": 2}))
    assert (state_of(second), state_of(alert)) == ("firing", "firing")
    armed = Escalation.objects.get(alert=second)
    assert (armed.state, armed.repeat_no) == ("active", 1)


def test_an_older_close_that_comes_after_the_reopening_is_ignored(hook: InboundHook, alert: Alert) -> None:
    told(hook, payload("closed"))
    told(hook, payload("reopened", at=T0 + timedelta(seconds=20)))
    late = told(hook, payload("closed", at=T0 + timedelta(seconds=10)))
    assert "ignored: it is older than what the issue last told" in late
    assert state_of(alert) == "firing"
    assert story(alert) == ["started", "resolved", "reopened"]


def test_of_two_messages_that_changed_places_the_later_state_stays(hook: InboundHook, alert: Alert) -> None:
    first = told(hook, payload("reopened", at=T0 + timedelta(seconds=20)))
    assert "ignored (the issue was reopened at GitHub): The alert is not resolved." in first
    told(hook, payload("closed", at=T0 + timedelta(seconds=10)))
    assert (state_of(alert), story(alert)) == ("firing", ["started"])


def test_a_comment_and_a_close_of_the_same_second_both_count(hook: InboundHook, alert: Alert) -> None:
    told(hook, comment("/ack\nmine"), "issue_comment")
    assert state_of(alert) == "acknowledged"
    told(hook, payload("closed"))
    assert story(alert) == ["started", "acknowledged", "resolved"]


def test_an_edit_is_no_reason_to_ignore_an_older_close(hook: InboundHook, alert: Alert) -> None:
    told(hook, payload("edited", at=T0 + timedelta(minutes=5)))
    told(hook, payload("closed"))
    assert state_of(alert) == "resolved"


def test_what_makes_no_sense_any_more_is_written_down_as_ignored(hook: InboundHook, alert: Alert) -> None:
    fresh = Alert.objects.get(pk=alert.pk)
    alert_resolve(alert_id=fresh.pk, version=fresh.version, actor=SYSTEM, now=clock.now())
    assert told(hook, payload("closed")).endswith("The alert is resolved already.")
    assert "nothing to acknowledge" in told(hook, payload("labeled", label={"name": "Investigating"}))


# Who and what.


def test_the_label_investigating_acknowledges_and_others_do_not(hook: InboundHook, alert: Alert) -> None:
    assert "asks for nothing" in told(hook, payload("labeled", label={"name": "bug"}))
    told(hook, payload("labeled", label={"name": "Investigating"}))
    fresh = Alert.objects.get()
    assert (fresh.acked_by, fresh.ack_reason) == (
        "Codertocat (GitHub)", "the issue was labelled investigating at GitHub",
    )  # fmt: skip
    assert "acknowledged already" in told(
        hook, payload("labeled", label={"name": "investigating"}, at=T0 + timedelta(1))
    )


def test_the_console_does_not_answer_itself(hook: InboundHook, alert: Alert) -> None:
    outcome = told(hook, payload("closed", login="Console-Bot"))
    assert "the console did it itself" in outcome
    assert state_of(alert) == "firing"
    InboundHook.objects.update(login="")
    told(hook, payload("closed", login="Console-Bot", at=T0 + timedelta(seconds=1)))
    assert state_of(alert) == "resolved"


def test_only_allowed_users_command_by_comment(hook: InboundHook, alert: Alert) -> None:
    assert told(hook, comment("/resolve", login="stranger"), "issue_comment").startswith("refused: stranger")
    assert (state_of(alert), story(alert)) == ("firing", ["started"])
    told(hook, comment("Fixed.\n\n/resolve  rolled back", login="OCTOCAT"), "issue_comment")
    assert alert.events.get(kind="resolved").reason == "/resolve rolled back in a comment"


@pytest.mark.parametrize("action", ["edited", "deleted"])
def test_comments_command_when_they_are_written_and_not_later(hook: InboundHook, alert: Alert, action: str) -> None:
    told(hook, {**comment("/resolve"), "action": action}, "issue_comment")
    assert state_of(alert) == "firing"


def test_pull_requests_are_another_matter(hook: InboundHook, alert: Alert) -> None:
    said = comment("/resolve", issue={"pull_request": {"url": "https://api.github.com/x"}})
    assert told(hook, said, "issue_comment") == "ignored: it is about a pull request"


def test_assigning_needs_a_person_of_the_console(hook: InboundHook, alert: Alert) -> None:
    alice = User.objects.create_user("alice@example.org", role="responder")
    told(hook, comment("/assign @codertocat"), "issue_comment")
    assert Alert.objects.get(pk=alert.pk).assignee == alice
    for number, (text, why) in enumerate([
        ("/assign", "needs a name"), ("/assign @nobody", "not among the allowed"),
        ("/assign @octocat", "no user of the console is named"),
    ]):  # fmt: skip
        told(hook, comment(text, at=T0 + timedelta(seconds=number)), "issue_comment")
        assert why in alert.events.order_by("-id")[0].reason
    User.objects.update(disabled_at=clock.now())
    told(hook, comment("/assign @Codertocat please", at=T0 + timedelta(minutes=1)), "issue_comment")
    assert "no active user" in alert.events.order_by("-id")[0].reason


@pytest.mark.parametrize(
    ("said", "hours", "reason"),
    [("/silence 2h new disks", 2, "new disks"), ("/silence", 1, "/silence in a comment, on #")],
)
def test_a_comment_silences_the_alert(hook: InboundHook, alert: Alert, said: str, hours: int, reason: str) -> None:
    told(hook, comment(said), "issue_comment")
    made = Silence.objects.get()
    assert made.ends_at - made.starts_at == timedelta(hours=hours)
    assert made.reason.startswith(reason)
    assert made.author == "alice@example.org"
    assert {"name": "alertname", "value": "Hot", "isRegex": False, "isEqual": True} in made.matchers
    assert "silenced until" in alert.events.get(kind="note").reason
    assert state_of(alert) == "firing"


@pytest.mark.parametrize(
    ("said", "why"), [("/silence soon", "'soon' is not a duration"), ("/silence 90d", "lasts at most 30 days")]
)
def test_a_silence_that_cannot_be_is_answered_with_why(hook: InboundHook, alert: Alert, said: str, why: str) -> None:
    told(hook, comment(said), "issue_comment")
    assert why in alert.events.get(kind="note").reason
    assert not Silence.objects.exists()


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (payload("deleted"), "deleted at GitHub"),
        (payload("transferred", changes={"new_issue": {"html_url": "https://github.com/o/r/issues/7"}}),
         "moved to https://github.com/o/r/issues/7"),
    ],
)  # fmt: skip
def test_an_issue_that_goes_away_is_noted(hook: InboundHook, alert: Alert, said: dict[str, Any], note: str) -> None:
    told(hook, said)
    assert note in alert.events.get(kind="note").reason
    assert state_of(alert) == "firing"


def test_issues_of_nobody_and_of_another_channel_are_ignored(hook: InboundHook, alert: Alert) -> None:
    assert told(hook, payload("closed", issue={"number": 9})) == f"ignored: no alert is linked to {REPO}#9"
    other = Channel.objects.create(name="other", type="github")
    Link.objects.update(channel=other)
    assert "no alert is linked" in told(hook, payload("closed"))
    InboundHook.objects.update(channel=None)
    assert "resolve" in told(hook, payload("closed", at=T0 + timedelta(1)))


def test_a_close_faster_than_the_link_waits_for_it(hook: InboundHook, alert: Alert, letterbox: Letterbox) -> None:
    link = Link.objects.get()
    link.delete()
    policy_with((0, [link.channel]))
    fire("Second")
    Notification.objects.update(attempts=1)
    now = clock.now()
    post(hook, payload("closed"))
    for seconds in (0, 5, 10, 20, 30):
        sync_due(hand="celery", read_clock=at(now + timedelta(seconds=seconds)))
    row = WebhookIn.objects.get()
    assert (row.state, row.attempts, state_of(alert)) == ("due", 0, "firing")
    link.pk = None
    link.save(force_insert=True)
    sync_due(hand="celery", read_clock=at(now + timedelta(seconds=36)))
    assert (WebhookIn.objects.get().state, state_of(alert)) == ("done", "resolved")


def test_what_waits_for_a_link_that_never_comes_is_ignored_before_it_is_late(hook: InboundHook, alert: Alert) -> None:
    assert hook.channel is not None
    policy_with((0, [hook.channel]))
    fire("Second")
    Notification.objects.update(attempts=1)
    now = clock.now()
    post(hook, payload("closed", issue={"number": 9}))
    for seconds in range(0, 50, 5):
        sync_due(hand="celery", read_clock=at(now + timedelta(seconds=seconds + 1)))
    row = WebhookIn.objects.get()
    assert (row.state, row.outcome) == ("done", f"ignored: no alert is linked to {REPO}#9")


def test_what_a_message_of_the_console_did_needs_no_login_to_be_known_as_its_own(
    hook: InboundHook, alert: Alert
) -> None:
    InboundHook.objects.update(login="")
    Link.objects.update(settled_at=T0, settled_state="closed")
    assert "known already" in told(hook, payload("closed"))
    assert state_of(alert) == "firing"
    told(hook, payload("closed", at=T0 + timedelta(seconds=1)))
    assert state_of(alert) == "resolved"


def test_repositories_are_found_in_any_letter_case(hook: InboundHook, alert: Alert) -> None:
    Link.objects.update(external_id=f"{REPO.lower()}#{NUMBER}")
    told(hook, payload("closed"))
    assert state_of(alert) == "resolved"


def test_switched_off_before_it_was_dealt_with_nothing_is_done(hook: InboundHook, alert: Alert) -> None:
    post(hook, payload("closed"))
    InboundHook.objects.update(enabled=False)
    sync_due(hand="celery")
    assert (WebhookIn.objects.get().outcome, state_of(alert)) == (
        "ignored: the webhook was switched off meanwhile", "firing",
    )  # fmt: skip
