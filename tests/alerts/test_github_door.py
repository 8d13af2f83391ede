"""The door GitHub calls: signed, bounded, stored before it answers; and what its messages are read as."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from aivillage_console.lib.ratelimit import Buckets, Limit
from alerts import tasks
from alerts.engine.issues import NotAnIssue, Told, Verb, allowed_problem, commands, read
from alerts.inbound import github
from alerts.models import Alert, InboundHook, WebhookIn
from alerts.services import sync_due
from metrics.models import RejectedRequest
from tests.alerts.github import EXAMPLES, SECRET, payload, post, signed, state_of, story, told

needs_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no corpora: set CORPORA_DIR")
pytestmark = pytest.mark.django_db(transaction=True)


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
    spoiled: dict[str, Any] = {header: value}
    answer = post(hook, payload("closed"), **spoiled)
    assert (answer.status_code, header in answer.json()["detail"]) == (400, True)


def test_other_methods_are_refused(hook: InboundHook) -> None:
    answer = Client().get(f"/hooks/github/{hook.pk}/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_wrong_signatures_run_out_of_tries_and_right_ones_are_counted_apart(
    hook: InboundHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "ADDRESSES", Buckets(Limit(per_second=0.001, burst=25)))
    monkeypatch.setattr(github, "SIGNED", Buckets(Limit(per_second=0.001, burst=2)))
    unsigned: dict[str, Any] = {"X-Hub-Signature-256": "no"}
    answers = [post(hook, None, body=b"{}", **unsigned) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [401] * 7 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 1
    github.ADDRESSES.clear()
    statuses = [post(hook, payload("closed", issue={"number": number})).status_code for number in (1, 2, 3)]
    assert statuses == [202, 202, 429]


def test_a_secret_that_cannot_be_opened_is_said_and_nothing_is_taken(hook: InboundHook) -> None:
    InboundHook.objects.update(secret_sealed=b"\x01" + b"x" * 60)
    assert post(hook, payload("closed")).status_code == 503


def test_what_is_not_followed_leaves_a_row_without_its_body(hook: InboundHook) -> None:
    assert post(hook, {"commits": []}, "push").status_code == 202
    row = WebhookIn.objects.get()
    assert (row.state, bytes(row.body)) == ("done", b"")
    assert row.outcome == "ignored: the event push is not followed"


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
