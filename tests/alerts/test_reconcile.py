"""What people did to issues while the console was away is found by asking, over real sockets, and done once."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.lib import clock, outbox
from alerts.models import Alert, Channel, Heartbeat, IssuePoll, Link, Notification
from alerts.services import audit_and_repair, reconcile_due, reconcile_in_background
from alerts.services.reconcile import BEAT, EVERY_SECONDS
from demo.lookalikes import GitHubServer
from demo.lookalikes.github import TOKEN
from tests.alerts.channels.conftest import channel_of, dispatch, dispatch_later, loopback_is_allowed
from tests.alerts.conftest import clear, fire, policy_with
from tests.alerts.github import state_of, story

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("loopback_is_allowed")]
__all__ = ["loopback_is_allowed"]
FOUND = "found by asking, for no webhook had told of it"


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as found:
        yield found


@pytest.fixture
def channel(server: GitHubServer) -> Channel:
    return channel_of("github", {"repo": "acme/app", "api_url": server.url}, TOKEN)


@pytest.fixture
def alert(server: GitHubServer, channel: Channel) -> Alert:
    """Return an alert GitHub was told of by issue 1."""
    policy_with((0, [channel]), triggers=[{"alertname": "Hot"}])
    fired = fire()
    dispatch()
    assert server.issue().state == "open"
    # What people do from now on is done in another second than what the console did.
    Link.objects.update(settled_at=clock.now() - timedelta(seconds=5))
    return fired


def ask(minutes: float = 0) -> int:
    """Ask what is due in so many minutes."""
    at = clock.now() + timedelta(minutes=minutes)
    return reconcile_due(hand="sweeper", read_clock=lambda: at)


def lists(server: GitHubServer) -> list[Any]:
    """Return the requests that listed issues."""
    return [each for each in server.received if each.method == "GET" and each.path.endswith("/issues")]


def test_a_close_nobody_told_of_is_found_and_the_timeline_says_how(server: GitHubServer, alert: Alert) -> None:
    ask()
    assert state_of(alert) == "firing"
    server.close_issue(by="octocat")
    ask(minutes=5)
    assert state_of(alert) == "resolved"
    event = alert.events.get(kind="resolved")
    assert (event.actor_kind, event.actor, event.data["via"]) == ("github", "octocat (GitHub)", "asking GitHub")
    assert event.reason == f"the issue was closed as completed at GitHub; {FOUND}"
    assert (AuditEntry.objects.get(action="alert.resolved").after or {})["via"] == "asking GitHub"
    ask(minutes=10)
    assert story(alert) == ["started", "resolved"]


def test_a_reopening_nobody_told_of_is_found_too(server: GitHubServer, alert: Alert) -> None:
    server.close_issue()
    ask()
    dispatch_later()
    assert (state_of(alert), Link.objects.get().settled_state) == ("resolved", "closed")
    time.sleep(1.1)  # GitHub tells times by the second.
    server.reopen_issue()
    ask(minutes=5)
    assert (state_of(alert), Link.objects.get().settled_state) == ("firing", "open")
    assert alert.events.get(kind="reopened").reason == f"the issue was reopened at GitHub; {FOUND}"


def test_closed_and_reopened_while_away_changes_nothing(server: GitHubServer, alert: Alert) -> None:
    server.close_issue()
    server.reopen_issue()
    ask()
    assert (state_of(alert), story(alert)) == ("firing", ["started"])


def test_what_did_not_change_costs_one_request_and_no_quota(server: GitHubServer, alert: Alert) -> None:
    for minutes in (0, 5, 10):
        ask(minutes)
    asked = lists(server)
    assert len(asked) == 3
    assert [("if-none-match" in each.headers) for each in asked] == [False, True, True]
    assert (asked[0].query["labels"], asked[0].query["state"]) == ("automated-alert", "all")
    spent = len(server._requests)
    ask(minutes=15)
    assert len(server._requests) == spent
    server.close_issue()
    ask(minutes=20)
    assert state_of(alert) == "resolved"


def test_it_is_asked_every_five_minutes_and_not_more(server: GitHubServer, alert: Alert) -> None:
    assert [ask(0), ask(1), ask(4), ask(5)] == [1, 0, 0, 1]
    assert Heartbeat.objects.get(name=BEAT).detail == {"asked": 1}
    assert EVERY_SECONDS < 300


def test_our_own_close_is_nobodys(server: GitHubServer, alert: Alert) -> None:
    clear()
    dispatch_later()
    assert server.issue().state == "closed"
    fire(now=clock.now() + timedelta(seconds=1))
    assert Notification.objects.filter(kind="fire", attempts=0).exists()
    ask()
    assert (state_of(alert), story(alert)) == ("firing", ["started", "resolved", "reopened"])


def test_our_own_close_is_nobodys_though_its_answer_was_lost(server: GitHubServer, alert: Alert) -> None:
    server.trouble(cut=1.0)
    clear()
    dispatch_later()
    server.trouble()
    # The comment was cut, so the close is made by hand here, as the request behind it would have.
    server.close_issue(by="console-bot")
    fire(now=clock.now() + timedelta(seconds=1))
    ask()
    assert state_of(alert) == "firing"
    Notification.objects.filter(kind="resolve").update(
        state="cancelled", finished_at=clock.now() - timedelta(seconds=9)
    )
    ask(minutes=5)
    assert (state_of(alert), Link.objects.get().settled_state) == ("firing", "closed")


def test_a_message_on_its_way_is_waited_for_and_then_looked_at_again(server: GitHubServer, alert: Alert) -> None:
    clear()
    Notification.objects.filter(kind="resolve").update(attempts=1, lease_token="0" * 32)
    Alert.objects.update(state="firing", resolved_at=None)
    server.close_issue()
    ask()
    assert (state_of(alert), IssuePoll.objects.get().etag) == ("firing", "")
    Notification.objects.filter(kind="resolve").update(
        state="failed", lease_token=None, created_at=clock.now() - timedelta(hours=2),
        finished_at=clock.now() - timedelta(hours=1),
    )  # fmt: skip
    ask(minutes=5)
    assert state_of(alert) == "resolved"


def test_an_answer_older_than_what_a_webhook_told_is_ignored(server: GitHubServer, alert: Alert) -> None:
    server.close_issue()
    Link.objects.update(settled_at=clock.now() + timedelta(minutes=1), settled_state="open")
    ask()
    assert state_of(alert) == "firing"


def test_a_link_that_came_after_its_issue_was_listed_is_caught_up_with(server: GitHubServer, alert: Alert) -> None:
    late = Link.objects.get()
    late.delete()
    server.close_issue()
    Link.objects.create(alert=fire("Other"), channel=late.channel, external_id="acme/app#77")
    ask()
    assert (state_of(alert), IssuePoll.objects.get().etag != "") == ("firing", True)
    late.pk = None
    late.save(force_insert=True)
    ask(minutes=5)
    assert state_of(alert) == "resolved"


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry_After": "1200"}, 1200),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "RESET"}, 900),
    ],
)
def test_limits_are_obeyed_until_they_end(
    server: GitHubServer, alert: Alert, status: int, headers: dict[str, str], seconds: int
) -> None:
    now = clock.now()
    reset = str(int(now.timestamp()) + 900)
    given: dict[str, Any] = {name: value.replace("RESET", reset) for name, value in headers.items()}
    server.fail_next(status=status, **given)
    server.close_issue()
    ask()
    row = IssuePoll.objects.get()
    assert abs((row.due_at - now).total_seconds() - seconds) < 10
    assert (row.last_error.startswith(f"GitHub answered {status}"), row.failing_since is not None) == (True, True)
    assert ask(minutes=seconds / 60 - 1) == 0
    assert (ask(minutes=seconds / 60 + 1), state_of(alert)) == (1, "resolved")
    assert IssuePoll.objects.get().failing_since is None


def test_a_github_that_is_away_is_asked_again_and_its_silence_is_an_alert(server: GitHubServer, alert: Alert) -> None:
    server.stop()
    for minutes in (0, 5, 10):
        assert ask(minutes) == 1
    later = clock.now() + timedelta(minutes=95)
    found = audit_and_repair(now=later)
    assert (found["issue_polls_unanswered"], found["issue_polls_late"]) == (1, 1)
    server.start()
    server.close_issue()
    ask(minutes=96)
    found = audit_and_repair(now=later)
    assert (found["issue_polls_unanswered"], found["issue_polls_late"]) == (0, 0)
    assert state_of(alert) == "resolved"


def test_who_may_not_ask_asks_ever_more_seldom_and_harms_no_neighbour(server: GitHubServer, alert: Alert) -> None:
    server.close_issue()
    for name, config in (("bare", {}), ("wrong", {"repo": "acme/none", "api_url": server.url})):
        other = channel_of("github", config, TOKEN, name=name)
        Link.objects.create(alert=alert, channel=other, external_id="acme/none#1")
    assert ask() == 3
    assert state_of(alert) == "resolved"
    ask(minutes=6)
    rows = IssuePoll.objects.filter(channel__name__in=["bare", "wrong"])
    assert all(row.due_at > clock.now() + timedelta(minutes=14) for row in rows)


def test_more_changes_than_a_page_are_all_seen(server: GitHubServer, alert: Alert) -> None:
    for number in range(2, 131):
        stamp = (clock.now() - timedelta(seconds=200 - number)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        server.issues["acme/app", number] = replace(server.issue(), number=number, updated_at=stamp)
    server.close_issue()
    ask()
    assert state_of(alert) == "resolved"
    assert len(lists(server)) == 2
    ask(minutes=5)
    assert len(lists(server)) == 3
    assert "if-none-match" in lists(server)[2].headers


def test_without_open_alerts_nobody_is_asked_and_off_is_off(server: GitHubServer, alert: Alert) -> None:
    Channel.objects.update(config={**Channel.objects.get().config, "follow": False})
    assert ask() == 0
    Channel.objects.update(config={"repo": "acme/app", "api_url": server.url}, enabled=False)
    assert ask() == 0
    Channel.objects.update(enabled=True)
    Alert.objects.update(state="resolved", resolved_at=clock.now() - timedelta(days=8))
    ask()
    assert lists(server) == []


def test_one_hand_asks_and_a_hand_that_died_is_followed_by_the_next(server: GitHubServer, alert: Alert) -> None:
    server.close_issue()
    IssuePoll.objects.create(channel=Channel.objects.get(), due_at=clock.now())
    assert outbox.claim(IssuePoll.objects.all(), now=clock.now(), lease_seconds=60)
    assert ask() == 0
    assert ask(minutes=1.1) == 1
    assert state_of(alert) == "resolved"


def test_the_dispatcher_goes_on_while_github_hangs(server: GitHubServer, alert: Alert) -> None:
    server.close_issue()
    server.hang_next(seconds=2)
    began = clock.now()
    thread = reconcile_in_background(began)
    assert thread is not None
    assert reconcile_in_background(clock.now()) is None
    assert thread.is_alive()
    thread.join(20)
    IssuePoll.objects.update(due_at=clock.now())
    again = reconcile_in_background(clock.now())
    assert again is not None
    again.join(20)
    assert state_of(alert) == "resolved"


def test_the_dispatcher_finds_the_close_by_itself(server: GitHubServer, alert: Alert) -> None:
    server.close_issue()

    def stop_when_found() -> None:
        for _ in range(300):
            # The round that finds it notes that it was made once it is done, in a thread of its own.
            if state_of(alert) == "resolved" and Heartbeat.objects.filter(name=BEAT).exists():
                break
            time.sleep(0.1)
        connection.close()
        os.kill(os.getpid(), signal.SIGTERM)

    before = [(each, signal.getsignal(each)) for each in (signal.SIGTERM, signal.SIGINT)]
    threading.Thread(target=stop_when_found, daemon=True).start()
    call_command("dispatch")
    for each, handler in before:
        signal.signal(each, handler)
    assert state_of(alert) == "resolved"
    assert Heartbeat.objects.filter(name=BEAT).exists()
