"""Who has the alert is told where a message can be kept up to date, and nowhere else."""

from collections.abc import Iterator

import pytest

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.models import Alert, Notification
from alerts.services import alert_acknowledge, alert_resolve, alert_unacknowledge, escalate_due
from demo.lookalikes import GitHubServer, SlackServer
from demo.lookalikes.slack import TOKEN
from tests.alerts.channels.conftest import channel_of, dispatch_later, states
from tests.alerts.conftest import fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = Actor(kind="user", id="1", label="alice")


@pytest.fixture
def server() -> Iterator[SlackServer]:
    with SlackServer(per_second=1000, burst=1000) as found:
        yield found


@pytest.fixture
def alert(server: SlackServer) -> Alert:
    """Return an alert Slack was told of."""
    bot = channel_of("slack", {"channel": "C0ALERTS", "api_url": f"{server.url}/api"}, TOKEN)
    policy_with((0, [bot]))
    fired = fire()
    dispatch_later()
    fired.refresh_from_db()
    return fired


def acknowledge(alert: Alert, actor: Actor = ALICE) -> Alert:
    return alert_acknowledge(alert_id=alert.pk, version=alert.version, actor=actor, reason="mine", now=clock.now())


def test_slack_says_in_place_and_in_the_thread_who_has_it(server: SlackServer, alert: Alert) -> None:
    acknowledge(alert)
    dispatch_later()
    (post,) = server.posts
    assert "Acknowledged by alice" in post.words
    assert "Open the alert" in post.words
    (reply,) = server.replies(post)
    assert "Acknowledged by alice" in reply.text


def test_given_back_it_fires_again_in_the_same_message(server: SlackServer, alert: Alert) -> None:
    acked = acknowledge(alert)
    dispatch_later()
    alert_unacknowledge(alert_id=alert.pk, version=acked.version, actor=ALICE, now=clock.now())
    escalate_due(hand="celery")
    dispatch_later()
    assert len(server.posts) == 1
    assert "Acknowledged by" not in server.posts[0].words


def test_what_was_resolved_meanwhile_is_told_by_its_end_alone(server: SlackServer, alert: Alert) -> None:
    acked = acknowledge(alert)
    alert_resolve(alert_id=alert.pk, version=acked.version, actor=ALICE, reason="done", now=clock.now())
    dispatch_later()
    dispatch_later()
    row = Notification.objects.get(kind="update")
    assert (row.state, row.cancelled_because) == ("cancelled", "its end was told instead")
    assert "Resolved" in server.posts[0].words


def test_the_issue_gets_a_comment_unless_it_happened_there() -> None:
    with GitHubServer(per_minute=10_000) as github:
        policy_with((0, [channel_of("github", {"repo": "acme/app", "api_url": github.url}, github.token)]))
        alert = fire()
        dispatch_later()
        alert.refresh_from_db()
        acked = acknowledge(alert)
        dispatch_later()
        issue = github.issue()
        assert ["Acknowledged by alice" in comment.body for comment in issue.comments] == [True]
        given = alert_unacknowledge(alert_id=alert.pk, version=acked.version, actor=ALICE, now=clock.now())
        acknowledge(given, Actor(kind="github", id="octocat", label="octocat (GitHub)"))
        assert Notification.objects.filter(kind="update").count() == 1


def test_a_receiver_that_cannot_change_a_message_hears_nothing() -> None:
    policy_with((0, [channel_of("webhook", {"url": "https://93.184.216.34/hook"})]))
    alert = fire()
    Notification.objects.update(attempts=1, state="done")
    acknowledge(alert)
    assert states() == ["done"]


def test_an_incoming_webhook_of_slack_adds_no_message_for_it(server: SlackServer) -> None:
    policy_with((0, [channel_of("slack", {}, server.webhook_url)]))
    alert = fire()
    dispatch_later()
    acknowledge(alert)
    dispatch_later()
    assert (states(), len(server.posts)) == (["done", "done"], 1)
