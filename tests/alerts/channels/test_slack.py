"""Slack over real sockets: one message an alert, kept up to date, with a thread; or a webhook that can only add."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.channels import ChannelError, Letter, slack
from alerts.models import Alert, Channel, Link, Notification
from alerts.services import channel_test, escalate_due
from demo.lookalikes import SlackServer
from demo.lookalikes.slack import TOKEN
from tests.alerts.channels.conftest import channel_of, dispatch, dispatch_later, states
from tests.alerts.conftest import clear, fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = Actor(kind="user", id="1", label="alice")
HOT = [{"alertname": "Hot"}]


@pytest.fixture
def server() -> Iterator[SlackServer]:
    with SlackServer(per_second=1000, burst=1000) as found:
        yield found


def config_of(server: SlackServer, **more: Any) -> dict[str, Any]:
    return {"channel": "C0ALERTS", "api_url": f"{server.url}/api", **more}


def bot(server: SlackServer, **fields: Any) -> Channel:
    return channel_of("slack", config_of(server), TOKEN, **fields)


def letter(server: SlackServer, secret: str = TOKEN, **payload: Any) -> Letter:
    told = {"kind": "fire", "status": "firing", "alert_name": "Hot", "severity": "high", "labels": {}, **payload}
    return Letter("k" * 64, datetime(2026, 11, 21, tzinfo=UTC), told, config_of(server), secret)


def test_a_fire_is_one_message_with_facts_colour_and_links(server: SlackServer) -> None:
    policy_with((0, [bot(server)]))
    alert = fire(value=91.0, threshold=80.0, labels={"host": "a", "component": "security"})
    dispatch()
    (message,) = server.posts
    attachment = message.shown["attachments"][0]
    assert message.shown["blocks"][0]["text"]["text"] == "▲ HIGH: Hot"
    assert (attachment["color"], message.text) == ("#AD5407", "▲ [HIGH] Hot. Firing")
    buttons = next(block for block in attachment["blocks"] if block["type"] == "actions")["elements"]
    assert buttons[0]["url"] == f"https://console.example.org/alerts/{alert.pk}/"
    assert all(fact in message.words for fact in ("91", "80", "security", "<!date^"))
    link = Link.objects.get()
    assert link.external_id == f"{message.channel}:{message.ts}"
    assert server.violations == 0


def test_the_message_is_kept_up_to_date_and_its_thread_says_what_changed(server: SlackServer) -> None:
    channel = bot(server)
    policy_with((0, [channel]), (60, [channel]))
    now = clock.now()
    fire(now=now)
    dispatch(now)
    later = now + timedelta(seconds=61)
    escalate_due(hand="celery", read_clock=lambda: later)
    dispatch(later)
    clear(now=later)
    dispatch(later + timedelta(seconds=5))
    (message,) = server.posts
    assert len(message.edits) == 2
    assert message.shown["attachments"][0]["color"] == "#3F7E6D"
    replies = [reply.text for reply in server.replies(message)]
    assert ["step 2" in replies[0], "Resolved" in replies[1], len(replies)] == [True, True, 2]
    assert states() == ["done"] * 3


def test_a_new_episode_has_a_message_of_its_own_and_a_reopened_one_has_not(server: SlackServer) -> None:
    policy_with((0, [bot(server)]))
    now = clock.now()
    for at, act in ((0, fire), (60, clear), (120, fire), (180, clear)):
        act(now=now + timedelta(seconds=at))
        dispatch(now + timedelta(seconds=at))
    assert len(server.posts) == 1
    assert server.replies(server.posts[0])[1].shown["reply_broadcast"] is True
    assert "Firing again" in server.replies(server.posts[0])[1].text
    # As if the first episode had been in the morning.
    ts = f"{(now - timedelta(hours=9)).timestamp():.6f}"
    Link.objects.update(external_id=f"C0ALERTS:{ts}")
    fire(now=now + timedelta(hours=3))
    dispatch(now + timedelta(hours=3))
    assert len(server.posts) == 2


def test_too_much_is_obeyed_and_sent_later(server: SlackServer) -> None:
    policy_with((0, [bot(server)]), triggers=HOT)
    server.fail_next(status=429, Retry_After="30")
    fire()
    now = dispatch()
    dispatch(now + timedelta(seconds=25))
    assert (server.posts, states()) == ([], ["due"])
    dispatch(now + timedelta(seconds=65))
    assert (len(server.posts), states()) == (1, ["done"])
    assert Channel.objects.get().breaker_state == "closed"


def test_a_channel_is_told_no_faster_than_slack_takes_it() -> None:
    with SlackServer() as server:
        policy_with((0, [bot(server)]))
        now = clock.now()
        for number in range(6):
            fire(f"Hot{number}", now=now)
        dispatch(now)
        assert len(server.posts) == 2
        dispatch(now + timedelta(seconds=2.5))
        assert (len(server.posts), server.violations) == (4, 0)


def test_an_answer_that_was_cut_off_is_found_in_the_channel(server: SlackServer) -> None:
    policy_with((0, [bot(server)]), triggers=HOT)
    server.cut_next()
    fire()
    dispatch()
    assert Notification.objects.get().tries.get().outcome == "unknown"
    dispatch_later()
    assert (len(server.posts), states()) == (1, ["done"])
    assert server.replies(server.posts[0]) == []
    assert Link.objects.get().external_id.endswith(server.posts[0].ts)


def test_without_the_scope_to_read_a_cut_answer_costs_one_duplicate(server: SlackServer) -> None:
    server.history_scope = False
    policy_with((0, [bot(server)]), triggers=HOT)
    server.cut_next()
    fire()
    dispatch()
    dispatch_later()
    assert (len(server.posts), states()) == (2, ["done"])


def test_the_end_of_what_may_have_been_told_is_told_where_it_stands(server: SlackServer) -> None:
    policy_with((0, [bot(server)]), triggers=HOT)
    server.cut_next()
    fire()
    dispatch()
    clear()
    dispatch_later()
    dispatch_later()
    (message,) = server.posts
    assert "Resolved" in message.text
    assert sorted(states()) == ["cancelled", "done"]


def test_a_message_somebody_deleted_is_posted_anew(server: SlackServer) -> None:
    policy_with((0, [bot(server)]))
    fire()
    dispatch()
    server.messages.clear()
    clear()
    dispatch_later()
    assert [("Resolved" in message.text) for message in server.posts] == [True]
    assert Link.objects.count() == 2


@pytest.mark.parametrize("error", ["invalid_auth", "channel_not_found", "msg_too_long", "is_archived", "a_new_error"])
def test_a_no_for_good_fails_and_goes_through_the_fallback(server: SlackServer, error: str) -> None:
    policy_with((0, [bot(server)]), triggers=HOT)
    channel_of("slack", {"api_url": f"{server.url}/api"}, server.webhook_url, name="spare", is_fallback=True)
    server.error_next = [error]
    fire()
    dispatch()
    dispatch_later()
    row = Notification.objects.get(channel__name="slack", alert__name="Hot")
    assert (row.state, row.last_error) == ("failed", f"Slack answered {error}")
    assert Alert.objects.get(name="NotificationFailing").labels["channel"] == "slack"
    assert "Hot" in server.posts[0].text


def test_a_revoked_token_switches_the_channel_off(server: SlackServer) -> None:
    policy_with((0, [bot(server)]), triggers=HOT)
    server.error_next = ["token_revoked"]
    fire()
    dispatch()
    channel = Channel.objects.get()
    assert (channel.enabled, channel.disabled_because) == (False, "Slack answered token_revoked")


@pytest.mark.parametrize("error", ["internal_error", "ratelimited", "service_unavailable"])
def test_what_passes_is_tried_again(server: SlackServer, error: str) -> None:
    policy_with((0, [bot(server)]), triggers=HOT)
    server.error_next = [error]
    fire()
    dispatch()
    assert states() == ["due"]
    dispatch_later(seconds=3)
    assert (states(), len(server.posts)) == (["done"], 1)


def test_a_reply_that_failed_is_said_once_when_the_update_is_tried_again(server: SlackServer) -> None:
    policy_with((0, [bot(server)]), triggers=HOT)
    fire()
    dispatch()
    clear()
    server.trouble()
    server.cut_next(2)
    dispatch_later()
    dispatch_later()
    dispatch_later()
    assert states() == ["done", "done"]
    assert len(server.replies(server.posts[0])) == 1


def test_an_incoming_webhook_adds_a_message_for_the_end(server: SlackServer) -> None:
    policy_with((0, [channel_of("slack", {}, server.webhook_url)]))
    fire()
    dispatch()
    clear()
    dispatch_later()
    assert [("Resolved" in message.text) for message in server.posts] == [False, True]
    assert Link.objects.count() == 0


@pytest.mark.parametrize(("path", "status"), [("/services/T/B/gone", 404)])
def test_a_webhook_that_is_gone_is_a_no_for_good(server: SlackServer, path: str, status: int) -> None:
    with pytest.raises(ChannelError) as refusal:
        slack.send(letter(server, server.url + path))
    assert (refusal.value.permanent, refusal.value.status) == (True, status)


def test_naughty_strings_call_nobody_and_break_no_limit(server: SlackServer, naughty: list[str]) -> None:
    calls = [
        "<!channel>",
        "<!here> <@U123>",
        "<https://evil.example|click>",
        "&lt;!channel&gt;",
        "x" * 100_000,
        "&" * 9999,
    ]
    for text in [*naughty, *calls]:
        slack.send(
            letter(
                server, alert_name=text, summary=text, description=text, severity=text, labels={text: text},
                annotations={"impact": text, "runbook": text, "runbook_url": text}, runbook_url=text,
                alerts=[{"alert_id": text, "alert_name": text, "severity": text}] * 50, started_at=text,
            )
        )  # fmt: skip
    assert len(server.posts) == len(naughty) + len(calls)
    for message in server.posts:
        said = json.dumps(message.shown, ensure_ascii=False)
        assert "<!" not in said.replace("<!date^", "")
        assert "<@" not in said
        assert "<http" not in said
        assert "javascript:" not in json.dumps([each.get("url") for each in _buttons(message.shown)])


def _buttons(shown: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = shown["attachments"][0]["blocks"]
    return [element for block in blocks if block["type"] == "actions" for element in block["elements"]]


def test_a_storm_summary_names_the_alerts(server: SlackServer) -> None:
    alerts = [{"alert_id": n, "alert_name": f"Hot{n}", "severity": "low"} for n in range(50)]
    slack.send(letter(server, kind="summary", alert_name="AlertStorm", severity="critical", alerts=alerts))
    assert "#49 low: Hot49" in server.posts[0].words


def test_the_test_button_posts_a_message(server: SlackServer) -> None:
    channel_test(channel_id=bot(server).pk, actor=ALICE, now=clock.now())
    dispatch()
    assert "TestMessage" in server.posts[0].text


def test_a_private_address_is_not_called_unless_allowed(server: SlackServer, settings: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=[])
    for secret in (TOKEN, server.webhook_url):
        with pytest.raises(ChannelError, match="not a public address"):
            slack.send(letter(server, secret))
    assert server.received == []


def test_without_a_secret_nothing_is_tried(server: SlackServer) -> None:
    with pytest.raises(ChannelError, match="an admin enters one"):
        slack.send(letter(server, ""))
    assert server.received == []


@pytest.mark.parametrize(
    ("config", "secret", "field"),
    [
        ({}, TOKEN, "channel"),
        ({"channel": 5}, TOKEN, "channel"),
        ({"channel": "#a", "api_url": "ftp://x"}, TOKEN, "api_url"),
        ({"channel": "#a"}, "password", "secret"),
        ({"channel": "#a"}, "https://user@hooks.slack.com/x", "secret"),
        ({"channel": "#a", "icon": ":x:"}, TOKEN, "icon"),
    ],
)
def test_a_wrong_setting_is_named(config: dict[str, Any], secret: str, field: str) -> None:
    assert field in slack.problems(config, secret)
    assert slack.problems({"channel": "#alerts"}, TOKEN) == {}
    assert slack.problems({}, "https://hooks.slack.com/services/T0/B0/x") == {}
