"""Silences as people make them: what is refused, what is warned of, how one goes on and ends."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.lib import clock
from alerts.engine.alertmanager.silences import NoSilence
from alerts.models import Alert, Channel, Inhibition, Notification, Silence
from alerts.services import dispatch_due
from alerts.services.configuration import Invalid, Outdated
from alerts.services.hiding import counts_now, covered_now, inhibited_now, inhibits_now, would_have_hidden
from alerts.services.silencing import (
    Ask,
    matchers_read,
    silence_again,
    silence_end,
    silence_make,
    silence_until,
    warnings_of,
)
from tests.alerts.silences.conftest import ADA, silenced

pytestmark = pytest.mark.django_db(transaction=True)
DISK = matchers_read("alertname=DiskFull")


def ask(**fields: Any) -> Ask:
    facts = {"matchers": "alertname=DiskFull", "ends_at": clock.now() + timedelta(hours=1), "reason": "new disks"}
    return Ask(**{**facts, **fields})


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"matchers": ""}, "matchers", "at least one matcher"),
        ({"matchers": 'host=~"a("'}, "matchers", "error parsing regexp: missing closing )"),
        ({"matchers": 'host=~"(?=x)y"'}, "matchers", "unsupported Perl syntax"),
        ({"matchers": 'host=~".*"'}, "matchers", "say at least one label exactly"),
        ({"matchers": "a=b\n" * 51}, "matchers", "at most 50 matchers"),
        ({"reason": "  "}, "reason", "Say why"),
        ({"ends_at": timedelta(minutes=-1)}, "ends_at", "has passed already"),
        ({"ends_at": timedelta(hours=1), "starts_at": timedelta(hours=2)}, "ends_at", "not after the beginning"),
        ({"ends_at": timedelta(days=45)}, "ends_at", "at most 30 days and this one would last 45"),
        ({"handover_seconds": 90_000}, "handover_seconds", "From 0 (never)"),
    ],
)
def test_a_wrong_silence_is_refused_at_its_field(fields: dict[str, Any], field: str, said: str) -> None:
    now = clock.now()
    given = {name: now + value if isinstance(value, timedelta) else value for name, value in fields.items()}
    with pytest.raises(Invalid) as refused:
        silence_make(ask(**given), actor=ADA, now=now)
    assert said in refused.value.problems[field]
    assert not Silence.objects.exists()


def test_a_silence_is_versioned_audited_and_keeps_its_author() -> None:
    row = silenced()
    other = ADA.__class__(kind="user", id="2", label="bob@example.org")
    longer = silence_until(row.pk, ends_at=row.ends_at + timedelta(hours=1), actor=other, now=clock.now(), version=1)
    assert (longer.pk, longer.version, longer.author) == (row.pk, 2, "ada@example.org")
    assert longer.handover_at == longer.ends_at - timedelta(minutes=15)
    with pytest.raises(Outdated):
        silence_end(row.pk, actor=other, now=clock.now(), version=1)
    ended = silence_end(row.pk, actor=other, now=clock.now(), version=2)
    assert ended.handover_at is None
    actions = list(AuditEntry.objects.filter(object_id=str(row.pk)).order_by("pk").values_list("action", flat=True))
    assert actions == ["silence.create", "silence.update", "silence.expire"]


def test_an_end_is_taken_back_by_a_silence_that_is_alike() -> None:
    row = silenced(lets_critical_through=True)
    until = row.ends_at
    with pytest.raises(Invalid):
        silence_again(row.pk, ends_at=until, actor=ADA, now=clock.now())
    silence_end(row.pk, actor=ADA, now=clock.now())
    with pytest.raises(Invalid):
        silence_until(row.pk, ends_at=until, actor=ADA, now=clock.now())
    again = silence_again(row.pk, ends_at=until, actor=ADA, now=clock.now())
    assert again.pk != row.pk
    assert (again.matchers, again.ends_at, again.lets_critical_through) == (row.matchers, until, True)
    with pytest.raises(NoSilence):
        silence_again(Silence().pk, ends_at=until, actor=ADA, now=clock.now())


def test_other_matchers_end_a_silence_and_begin_another() -> None:
    row = silenced()
    made = silence_make(ask(matchers="alertname=NodeDown"), actor=ADA, now=clock.now(), silence_id=row.pk, version=1)
    assert made.pk != row.pk
    assert Silence.objects.get(pk=row.pk).ends_at <= clock.now()


def test_what_is_covered_now_is_counted(firing: Callable[..., Alert]) -> None:
    firing(host="a")
    firing(host="b", severity="critical")
    firing("NodeDown", host="a")
    found = covered_now(DISK)
    assert (found.count, found.open_count, found.critical, len(found.shown)) == (2, 3, 1, 2)
    row, none = silenced(), silenced("host=z")
    assert counts_now([row, none]) == {row.pk: 2, none.pk: 0}
    assert warnings_of(DISK, open_count=3, covered=2) == []
    assert "misspelt" in warnings_of(DISK, open_count=3, covered=0)[0]
    assert "all 3 alerts" in warnings_of(DISK, open_count=3, covered=3)[0]
    assert "lasts 9 days" in warnings_of(DISK, open_count=0, covered=0, lasts=timedelta(days=9))[0]
    assert "every alert there is" in warnings_of(matchers_read('alertname=~".+"'), open_count=1, covered=1)[0]


def test_what_would_have_been_hidden_is_what_was_told(
    channel: Channel, letterbox: Any, firing: Callable[..., Alert]
) -> None:
    silence = silenced("host=quiet")
    firing(host="a")
    worst = firing(host="b", severity="critical")
    firing(host="quiet")
    firing("NodeDown", host="a")
    dispatch_due(hand="web")
    assert silence.pk is not None
    assert Notification.objects.filter(state="done").count() == 3
    found = would_have_hidden(DISK, now=clock.now())
    assert (found.messages, found.critical_messages, found.alert_count, found.firings) == (2, 1, 3, 3)
    assert [found.shown[0].alert.pk, found.shown[-1].messages] == [worst.pk, 0]
    through = would_have_hidden(DISK, now=clock.now(), lets_critical_through=True)
    assert (through.messages, through.critical_messages) == (1, 0)
    later = would_have_hidden(DISK, now=clock.now() + timedelta(days=8))
    assert later.messages == 0


def test_inhibitions_say_what_they_inhibit_now(firing: Callable[..., Alert]) -> None:
    target, source = firing(node="1"), firing("NodeDown", "critical", node="1")
    firing(node="2")
    facts = {"source_matchers": ["alertname=NodeDown"], "target_matchers": ["alertname=DiskFull"], "equal": ["node"]}
    row = Inhibition.objects.create(name="node down", **facts)
    off = Inhibition.objects.create(name="off", enabled=False, **facts)
    assert inhibits_now([row, off]) == {row.pk: 1}
    assert [(a.pk, b.pk) for a, b in inhibited_now(row)] == [(target.pk, source.pk)]
