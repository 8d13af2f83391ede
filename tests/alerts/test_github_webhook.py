"""What people do at GitHub is done to the alert: once, in order, and only when it is signed."""

import hashlib
import hmac
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.http import HttpResponse
from django.test import Client

from aivillage_console.accounts.models import AuditEntry, User
from aivillage_console.lib import clock, outbox
from alerts import tasks
from alerts.engine.issues import NotAnIssue, Told, Verb, allowed_problem, commands, read
from alerts.inbound import github
from alerts.models import Alert, Channel, Escalation, InboundHook, Link, WebhookIn
from alerts.services import alert_resolve, audit_and_repair, retain, sync, sync_due
from alerts.services.decide import SYSTEM
from metrics.models import RejectedRequest
from tests.alerts.conftest import Letterbox, channel_at, fire, policy_with
from tests.conftest import PROJECT_DIR

SECRET = "a secret only GitHub knows"
REPO, NUMBER = "Codertocat/Hello-World", 1
T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EXAMPLES = (
    Path(os.environ.get("CORPORA_DIR") or PROJECT_DIR.parent / "shared" / "data") / "github-webhooks" / "examples"
)
needs_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no corpora: set CORPORA_DIR")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh_buckets() -> Iterator[None]:
    """Let no test pay for the calls of another."""
    for buckets in (github.ADDRESSES, github.SIGNED):
        buckets.clear()
    yield
    for buckets in (github.ADDRESSES, github.SIGNED):
        buckets.clear()


@pytest.fixture
def hook(transactional_db: None) -> InboundHook:
    """Return a webhook of a channel that has told of the alert called Hot by issue 1."""
    channel = Channel.objects.create(name="issues", type="github", config={"login": "console-bot"})
    made = InboundHook(name="gh", channel=channel, allowed_users=["Codertocat=alice@example.org", "octocat"])
    made.seal(SECRET)
    made.save()
    return made


@pytest.fixture
def alert(hook: InboundHook) -> Alert:
    fired = fire()
    assert hook.channel is not None
    Link.objects.create(alert=fired, channel=hook.channel, external_id=f"{REPO}#{NUMBER}")
    return fired


def payload(action: str, *, at: datetime = T0, login: str = "Codertocat", **more: Any) -> dict[str, Any]:
    """Return what GitHub sends, cut down to what is read."""
    issue = {"number": NUMBER, "updated_at": at.isoformat(), "html_url": "https://github.com/x"}
    return {
        "action": action, "issue": {**issue, **more.pop("issue", {})}, "repository": {"full_name": REPO},
        "sender": {"login": login}, **more,
    }  # fmt: skip


def comment(text: str, *, login: str = "Codertocat", **more: Any) -> dict[str, Any]:
    return payload("created", login=login, comment={"body": text, "user": {"login": login}}, **more)


def signed(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(
    hook: InboundHook | str,
    said: Any,
    event: str = "issues",
    *,
    delivery: str = "",
    body: bytes | None = None,
    content_type: str = "application/json",
    **headers: str,
) -> HttpResponse:
    """Send a message as GitHub does."""
    body = json.dumps(said).encode() if body is None else body
    given = {
        "X-GitHub-Event": event, "X-GitHub-Delivery": delivery or str(uuid4()), "X-Hub-Signature-256": signed(body),
        **headers,
    }  # fmt: skip
    path = f"/hooks/github/{hook if isinstance(hook, str) else hook.pk}/"
    return Client().post(path, data=body, content_type=content_type, headers={k: v for k, v in given.items() if v})


def told(hook: InboundHook, said: Any, event: str = "issues", **more: Any) -> str:
    """Send a message, have it dealt with and return what came of it."""
    answer = post(hook, said, event, **more)
    assert answer.status_code == 202, answer.content
    sync_due(hand="celery")
    return WebhookIn.objects.order_by("-id")[0].outcome


def story(alert: Alert) -> list[str]:
    return [event.kind for event in alert.events.order_by("id")]


def state_of(alert: Alert) -> str:
    return Alert.objects.get(pk=alert.pk).shown_state


# The door.


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


def test_a_form_is_taken_as_well_as_json(hook: InboundHook, alert: Alert) -> None:
    body = urlencode({"payload": json.dumps(payload("closed"))}).encode()
    assert post(hook, None, body=body, content_type="application/x-www-form-urlencoded").status_code == 202
    tasks.sync()
    assert state_of(alert) == "resolved"


@pytest.mark.parametrize("spoil", ["no hook", "off", "no secret"])
def test_no_hook_and_no_secret_look_the_same(hook: InboundHook, spoil: str) -> None:
    if spoil == "off":
        InboundHook.objects.update(enabled=False)
    if spoil == "no secret":
        InboundHook.objects.update(secret_sealed=None)
    answer = post(str(uuid4()) if spoil == "no hook" else hook, payload("closed"))
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such webhook.")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (WebhookIn.objects.count(), RejectedRequest.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    "signature",
    [
        "", "sha256=", "sha256=" + "0" * 64, signed(b"another body"), signed(b"{}", "another secret"), "sha256=ü",
        signed(b"{}").upper(), signed(b"{}").removeprefix("sha256="),
    ],
)  # fmt: skip
def test_what_is_not_signed_is_refused_and_not_kept(hook: InboundHook, signature: str) -> None:
    answer = post(hook, None, body=b"{}", **{"X-Hub-Signature-256": signature})
    assert answer.status_code == 401
    assert "X-Hub-Signature-256" in answer.json()["detail"]
    assert WebhookIn.objects.count() == 0
    assert RejectedRequest.objects.get().status == 401


def test_a_signature_is_of_the_raw_bytes(hook: InboundHook) -> None:
    said = payload("closed")
    pretty, plain = json.dumps(said, indent=2).encode(), json.dumps(said).encode()
    assert post(hook, None, body=pretty, **{"X-Hub-Signature-256": signed(plain)}).status_code == 401
    assert post(hook, None, body=pretty).status_code == 202


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"x" * 1_000_001, "application/json", 413),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"not json", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff\xfe{}", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b'{"a": "\\ud800"}', "application/json", 400),
        (b'{"action": "closed", "action": "opened"}', "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "application/json", 202),
        (b"payload=%7B%7D&payload=%7B%7D", "application/x-www-form-urlencoded", 400),
        (b"other=1", "application/x-www-form-urlencoded", 400),
        (b"=", "application/x-www-form-urlencoded", 400),
        (b"{" + b" " * 999_998 + b"}", "application/json", 202),
    ],
)
def test_a_body_has_bounds_and_a_shape(hook: InboundHook, body: bytes, content_type: str, status: int) -> None:
    assert post(hook, None, body=body, content_type=content_type).status_code == status
    assert WebhookIn.objects.count() == (status == 202)


@pytest.mark.parametrize("header", ["X-GitHub-Event", "X-GitHub-Delivery"])
@pytest.mark.parametrize("value", ["", "x" * 65, "ü"])
def test_both_of_githubs_headers_are_needed(hook: InboundHook, header: str, value: str) -> None:
    answer = post(hook, payload("closed"), **{header: value})
    assert (answer.status_code, header in answer.json()["detail"]) == (400, True)


def test_other_methods_are_refused(hook: InboundHook) -> None:
    answer = Client().get(f"/hooks/github/{hook.pk}/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_wrong_signatures_run_out_of_tries_and_right_ones_are_counted_apart(hook: InboundHook) -> None:
    statuses = [post(hook, None, body=b"{}", **{"X-Hub-Signature-256": "no"}).status_code for _ in range(40)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    github.ADDRESSES.clear()
    assert post(hook, payload("closed")).status_code == 202


def test_a_secret_that_cannot_be_opened_is_said_and_nothing_is_taken(hook: InboundHook) -> None:
    InboundHook.objects.update(secret_sealed=b"\x01" + b"x" * 60)
    assert post(hook, payload("closed")).status_code == 503


def test_what_is_not_followed_leaves_a_row_without_its_body(hook: InboundHook) -> None:
    assert post(hook, {"commits": []}, "push").status_code == 202
    row = WebhookIn.objects.get()
    assert (row.state, bytes(row.body)) == ("done", b"")
    assert row.outcome == "ignored: the event push is not followed"


# Once.


def test_fifty_copies_at_once_are_one_transition(hook: InboundHook, alert: Alert) -> None:
    together = threading.Barrier(50)

    def send(_number: int) -> int:
        together.wait()
        try:
            return post(hook, payload("closed"), delivery="same").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(send, range(50)))
    assert sorted(statuses) == [200] * 49 + [202]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: (sync_due(hand="celery"), connections.close_all()), range(4)))
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
            sync_due(hand="celery", read_clock=lambda minute=minute: now + timedelta(minutes=minute))
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
    InboundHook.objects.update(login="robot")
    assert "the console did it itself" in told(hook, payload("closed", login="robot"))
    assert state_of(alert) == "firing"


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


def test_silences_are_said_to_be_missing(hook: InboundHook, alert: Alert) -> None:
    told(hook, comment("/silence 2h"), "issue_comment")
    assert "no silences yet, so nothing was silenced" in alert.events.get(kind="note").reason
    assert state_of(alert) == "firing"


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


# GitHub's own examples.


def example(path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((EXAMPLES / path).read_bytes())
    return loaded


@needs_examples
@pytest.mark.parametrize("secret", [SECRET, "unicode ☃ secret of theirs"])
def test_githubs_own_closing_message_resolves(hook: InboundHook, alert: Alert, secret: str) -> None:
    hook.seal(secret)
    hook.save()
    said = example("issues/reopened.payload.json")
    said |= {"action": "closed"}
    said["issue"] |= {"state": "closed", "state_reason": "completed"}
    body = json.dumps(said).encode()
    assert told(hook, None, body=body, **{"X-Hub-Signature-256": signed(body, secret)}).endswith("at GitHub")
    told(hook, None, **reopened(secret))
    assert story(alert) == ["started", "resolved", "reopened"]


def reopened(secret: str) -> dict[str, Any]:
    body = (EXAMPLES / "issues/reopened.payload.json").read_bytes()
    return {"body": body, "X-Hub-Signature-256": signed(body, secret)}


@needs_examples
def test_every_example_of_github_is_taken_and_none_is_poison(hook: InboundHook, alert: Alert) -> None:
    paths = sorted(EXAMPLES.glob("*/*.json"))
    for path in paths:
        body = path.read_bytes()
        assert post(hook, None, path.parent.name, body=body).status_code in (200, 202), path
    sync_due(hand="celery")
    assert len(paths) > 100
    assert WebhookIn.objects.exclude(state="done").count() == 0
    assert WebhookIn.objects.filter(outcome="").count() == 0


@needs_examples
def test_githubs_own_comment_holds_no_command() -> None:
    assert read("issue_comment", example("issue_comment/created.payload.json")) == (
        "issue_comment.created asks for nothing"
    )  # fmt: skip
    ours = example("issue_comment/created.payload.json")
    ours["comment"]["body"] = "/ack"
    found = read("issue_comment", ours)
    assert isinstance(found, Told)
    assert (found.issue, found.login, found.by_comment) == ("Codertocat/Hello-World#1", "Codertocat", True)


# The reader.


def test_commands_stand_at_the_beginning_of_a_line_outside_of_code_and_quotes() -> None:
    text = "/ack\n> /resolve\n```\n/resolve\n```\nplease /resolve\n  /SILENCE 2h\n/resolved\n/assign @x now"
    found = [(wish.verb, wish.argument) for wish in commands(text)]
    assert found == [(Verb.ACKNOWLEDGE, ""), (Verb.SILENCE, "2h"), (Verb.ASSIGN, "@x now")]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said: said.pop("issue"), lambda said: said.pop("repository"), lambda said: said.pop("sender"),
        lambda said: said["issue"].pop("number"), lambda said: said["issue"].update(number="1"),
        lambda said: said["issue"].update(updated_at="2026-03-01T12:00:00"),
        lambda said: said["issue"].update(updated_at=5), lambda said: said.update(action=None),
        lambda said: said["issue"].update(updated_at="yesterday"),
    ],
)  # fmt: skip
def test_what_is_not_shaped_as_githubs_is_said_to_be_so(spoil: Callable[[dict[str, Any]], object]) -> None:
    said = payload("closed")
    spoil(said)
    with pytest.raises(NotAnIssue, match=r"issue|message"):
        read("issues", said)


@pytest.mark.parametrize(
    ("entries", "good"),
    [
        (["octocat", "oct-o_cat=a@b.org", "renovate[bot]"], True), ([], True), ("octocat", False), ([1], False),
        (["@octocat"], False), (["octocat="], False), (["octocat=alice"], False), ([""], False),
        (["x"] * 501, False),
    ],
)  # fmt: skip
def test_a_list_of_allowed_users_has_a_shape(entries: Any, good: bool) -> None:
    assert (allowed_problem(entries) == "") is good


def test_the_claim_and_the_link_are_found_by_their_indexes(hook: InboundHook, alert: Alert) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        for statement, index in (
            (
                "SELECT id FROM alerts_webhookin WHERE state = 'due' AND due_at <= now() ORDER BY due_at",
                "webhookin_due",
            ),
            ("SELECT id FROM alerts_link WHERE upper(external_id) = upper('a/b#1')", "link_external_id"),
        ):
            cursor.execute(f"EXPLAIN {statement}")
            assert index in " ".join(row[0] for row in cursor.fetchall())
        cursor.execute("SET enable_seqscan = on")
