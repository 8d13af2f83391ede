"""Mail over real sockets: one a key, one thread an alert, and nothing of the data leaves its place."""

import ssl
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, http
from alerts.channels import ChannelError, Letter, email
from alerts.models import Alert, Link, Notification, PolicyStep
from alerts.services import channel_test
from demo.lookalikes import SmtpServer
from tests.alerts.channels.conftest import channel_of, dispatch, dispatch_later, states
from tests.alerts.conftest import clear, fire, policy_with
from tests.certificates import signed

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = Actor(kind="user", id="1", label="alice")
HOT = [{"alertname": "Hot"}]


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


def config_of(smtp: SmtpServer, **more: Any) -> dict[str, Any]:
    return {
        "smtp_server": smtp.host, "smtp_port": smtp.port, "from": "Console <console@example.org>", "security": "none",
        "to_emails": ["team@example.org"], **more,
    }  # fmt: skip


def letter(smtp: SmtpServer, config: dict[str, Any] | None = None, secret: str = "", **payload: Any) -> Letter:
    told = {"kind": "fire", "status": "firing", "alert_name": "Hot", "severity": "high", "labels": {}, **payload}
    return Letter("k" * 64, datetime(2026, 11, 21, tzinfo=UTC), told, config or config_of(smtp), secret)


def test_a_fire_is_one_mail_with_the_facts_in_text_and_html(smtp: SmtpServer) -> None:
    policy_with((0, [channel_of("email", config_of(smtp))]))
    alert = fire(value=91.0, threshold=80.0, labels={"host": "a", "component": "security"})
    dispatch()
    (mail,) = smtp.received
    message = mail.message
    assert (message["Subject"], mail.recipients) == ("[HIGH] Hot", ("team@example.org",))
    assert (mail.sender, message["Auto-Submitted"]) == ("console@example.org", "auto-generated")
    assert message["List-Id"] == "AIVillage Console alerts <alerts.console.example.org>"
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    for part in (text, html):
        assert f"https://console.example.org/alerts/{alert.pk}/" in part
        assert all(fact in part for fact in ("91", "80", "security", "UTC"))
    assert "color-scheme" in html
    assert (
        Link.objects.get().external_id == mail.message_id == f"<{Notification.objects.get().key}@console.example.org>"
    )


def test_later_mails_of_an_alert_form_a_thread(smtp: SmtpServer) -> None:
    channel = channel_of("email", config_of(smtp))
    policy_with((0, [channel]), (60, [channel]))
    fire()
    dispatch()
    clear()
    dispatch_later()
    first, last = smtp.received
    assert last.message["In-Reply-To"] == last.message["References"] == first.message_id
    assert last.message_id != first.message_id
    assert last.message["Subject"] == "Re: [HIGH] Hot"
    assert "Resolved" in last.message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert Link.objects.count() == 1


def test_the_recipients_of_a_step_replace_those_of_the_channel_and_hear_of_the_end(smtp: SmtpServer) -> None:
    policy_with((0, [channel_of("email", config_of(smtp))]))
    PolicyStep.objects.update(recipients=["oncall@example.org"])
    fire()
    dispatch()
    clear()
    dispatch_later()
    assert [mail.recipients for mail in smtp.received] == [("oncall@example.org",)] * 2


def test_a_refusal_for_now_is_tried_again_under_the_same_message_id(smtp: SmtpServer) -> None:
    policy_with((0, [channel_of("email", config_of(smtp))]), triggers=HOT)
    smtp.fail_next(answer="451 4.3.0 try later")
    fire()
    dispatch()
    assert (states(), smtp.received) == (["due"], [])
    dispatch_later()
    assert (states(), len(smtp.received)) == (["done"], 1)


def test_an_answer_that_was_cut_off_leads_to_a_second_mail_with_the_same_message_id(smtp: SmtpServer) -> None:
    policy_with((0, [channel_of("email", config_of(smtp))]), triggers=HOT)
    smtp.cut_next()
    fire()
    dispatch()
    assert Notification.objects.get().tries.get().outcome == "unknown"
    dispatch_later()
    assert len({mail.message_id for mail in smtp.received}) == 1
    assert (states(), len(smtp.received)) == (["done"], 2)


def test_one_recipient_who_is_refused_keeps_the_others_from_nothing(smtp: SmtpServer) -> None:
    channel = channel_of("email", config_of(smtp, to_emails=["gone@example.org", "team@example.org"]))
    policy_with((0, [channel]))
    smtp.refuse(["gone@example.org"])
    fire()
    dispatch()
    assert smtp.received[0].recipients == ("team@example.org",)
    assert "gone@example.org was refused: 550" in Notification.objects.get().tries.get().excerpt


def test_where_everybody_is_refused_for_good_it_fails_and_goes_through_the_fallback(smtp: SmtpServer) -> None:
    policy_with((0, [channel_of("email", config_of(smtp, to_emails=["gone@example.org"]))]), triggers=HOT)
    channel_of("email", config_of(smtp, to_emails=["spare@example.org"]), name="spare", is_fallback=True)
    smtp.refuse(["gone@example.org"])
    fire()
    dispatch()
    dispatch_later()
    assert Notification.objects.get(channel__name="email", alert__name="Hot").state == "failed"
    assert smtp.received[0].recipients == ("spare@example.org",)
    assert Alert.objects.get(name="NotificationFailing").labels["channel"] == "email"


def test_one_who_may_be_written_to_later_keeps_the_message_alive(smtp: SmtpServer) -> None:
    smtp.refuse(["a@example.org"])
    smtp.refuse(["b@example.org"], "450 4.2.0 greylisted")
    with pytest.raises(ChannelError) as refusal:
        email.send(letter(smtp, config_of(smtp, to_emails=["a@example.org", "b@example.org"])))
    assert (refusal.value.permanent, refusal.value.status) == (False, 450)


def test_a_server_that_asks_for_a_pause_gets_one(smtp: SmtpServer) -> None:
    policy_with((0, [channel_of("email", config_of(smtp))]), triggers=HOT)
    smtp.fail_next(answer="450 4.7.1 too many mails", at="MAIL")
    fire()
    now = dispatch()
    dispatch(now + timedelta(seconds=50))
    assert smtp.received == []
    dispatch(now + timedelta(seconds=125))
    assert len(smtp.received) == 1


def test_the_password_is_shown_over_tls_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, leaf = signed(tmp_path, "localhost", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(leaf)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    http.forget_trust()
    for implicit, security in ((False, "starttls"), (True, "tls")):
        with SmtpServer(users={"console": "pw"}, tls=context, implicit_tls=implicit) as smtp:
            config = config_of(smtp, security=security, username="console", smtp_server="localhost")
            email.send(letter(smtp, config, "pw"))
            assert (smtp.received[0].encrypted, smtp.received[0].user) == (True, "console")
    monkeypatch.delenv("SSL_CERT_FILE")
    http.forget_trust()
    with SmtpServer(tls=context) as smtp, pytest.raises(ChannelError, match="TLS") as refusal:
        email.send(letter(smtp, config_of(smtp, security="starttls")))
    assert not refusal.value.permanent


def test_a_server_without_starttls_is_not_written_to(smtp: SmtpServer) -> None:
    with pytest.raises(ChannelError, match="STARTTLS") as refusal:
        email.send(letter(smtp, config_of(smtp, security="starttls")))
    assert refusal.value.permanent
    assert smtp.received == []


def test_a_wrong_password_is_a_no_for_good() -> None:
    with SmtpServer(users={"console": "pw"}) as smtp, pytest.raises(ChannelError) as refusal:
        email.send(letter(smtp, config_of(smtp, username="console"), "wrong"))
    assert (refusal.value.permanent, refusal.value.status) == (True, 535)


def test_a_user_without_a_password_is_not_tried(smtp: SmtpServer) -> None:
    with pytest.raises(ChannelError, match="an admin enters it"):
        email.send(letter(smtp, config_of(smtp, username="console")))
    assert smtp.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "0x7f000001"])
def test_a_private_mail_server_is_not_called_unless_allowed(settings: Any, host: str) -> None:
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=[])
    with SmtpServer() as smtp, pytest.raises(ChannelError, match="not a public address"):
        email.send(letter(smtp, config_of(smtp, smtp_server=host)))
    assert smtp.received == []


def test_plain_smtp_and_odd_ports_are_refused_even_in_public(settings: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=[])
    with SmtpServer() as smtp:
        for config, why in (({"smtp_port": 25}, "only TLS"), ({"smtp_port": 22, "security": "tls"}, "port 22")):
            with pytest.raises(ChannelError, match=why):
                email.send(letter(smtp, config_of(smtp, smtp_server="93.184.216.34", **config)))


def test_a_server_that_says_nothing_frees_its_slot_in_time(smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["alerts.channels.email.send"], "TOTAL_SECONDS", 0.3)
    smtp.hang_next(seconds=5, at="DATA")
    with pytest.raises(ChannelError) as error:
        email.send(letter(smtp))
    assert not error.value.permanent


def test_headers_cannot_be_brought_in(smtp: SmtpServer) -> None:
    name = "x\r\nBcc: thief@example.org\r\n\r\nbody\u2028\x00"
    email.send(letter(smtp, alert_name=name, recipients=["a@example.org\r\nBcc: t@example.org", "b@example.org"]))
    (mail,) = smtp.received
    assert mail.recipients == ("b@example.org",)
    assert mail.message["Bcc"] is None
    assert mail.message["Subject"] == "[HIGH] x Bcc: thief@example.org body"


def test_naughty_strings_change_nothing_but_the_text(smtp: SmtpServer, naughty: list[str]) -> None:
    for text in naughty:
        email.send(
            letter(
                smtp,
                alert_name=text,
                summary=text,
                description=text,
                severity=text,
                labels={text: text},
                annotations={"impact": text, "runbook": text, "runbook_url": text},
                resolved_because=text,
                alerts=[{"alert_id": text, "alert_name": text}],
            )
        )
    assert len(smtp.received) == len(naughty)
    for mail in smtp.received:
        assert mail.recipients == ("team@example.org",)
        html = mail.message.get_body(("html",)).get_content()  # type: ignore[union-attr]
        assert "<script" not in html.lower()
        assert "<img" not in html.lower()
        assert 'href="javascript' not in html.lower()


def test_a_storm_summary_names_the_alerts(smtp: SmtpServer) -> None:
    alerts = [{"alert_id": n, "alert_name": f"Hot{n}", "severity": "low"} for n in range(50)]
    email.send(letter(smtp, kind="summary", alert_name="AlertStorm", severity="critical", alerts=alerts))
    assert "#49 low: Hot49" in smtp.received[0].message.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_the_test_button_sends_a_mail(smtp: SmtpServer) -> None:
    channel = channel_of("email", config_of(smtp))
    channel_test(channel_id=channel.pk, actor=ALICE, now=clock.now())
    dispatch()
    assert smtp.received[0].message["Subject"] == "[LOW] TestMessage"
    assert Link.objects.count() == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"smtp_server": ""}, "smtp_server"),
        ({"smtp_server": "a b"}, "smtp_server"),
        ({"smtp_port": "25"}, "smtp_port"),
        ({"security": "maybe"}, "security"),
        ({"from": "nobody"}, "from"),
        ({"to_emails": ["x"]}, "to_emails"),
        ({"to_emails": "a@example.org"}, "to_emails"),
        ({"username": 1}, "username"),
        ({"color": "red"}, "color"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, Any], field: str) -> None:
    good = {"smtp_server": "smtp.example.org", "from": "a@example.org", "to_emails": ["b@example.org"]}
    assert email.problems(good) == {}
    assert field in email.problems({**good, **change})
