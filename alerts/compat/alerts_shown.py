"""`GET /api/v2/alerts`, `/alerts/groups`, `/receivers`: open alerts as Alertmanager's clients read them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from aivillage_console.lib import clock, outage
from alerts.compat.admission import answer, away, flag, reader, spoken
from alerts.compat.filtering import filters, fits, receiver_pattern
from alerts.compat.foreign_config import receivers
from alerts.engine.alertmanager import alerts as engine
from alerts.engine.alertmanager.inhibition import Inhibitor
from alerts.engine.alertmanager.matching import all_hold
from alerts.engine.alertmanager.received import as_sent, fingerprint
from alerts.models import Alert
from alerts.services import quiet_rows
from alerts.services.quieting import Quiet
from alerts.services.routes import Routes

# An alert of a rule has no end of its own: it is shown as if it had been sent now.
BELIEVED = timedelta(minutes=5)
GROUPED_BY = "alertname"


def moment(at: datetime) -> str:
    """Return a time as Alertmanager writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Shown:
    """One alert, and what is made of it."""

    alert: Alert
    labels: dict[str, str]
    receiver: str
    silenced_by: list[str]
    inhibited_by: list[str]
    muted_by: list[str]

    @property
    def state(self) -> str:
        """Return whether somebody is told."""
        return "suppressed" if self.silenced_by or self.inhibited_by or self.muted_by else "active"

    def asked_for(self, request: HttpRequest) -> bool:
        """Tell whether the switches of a query let the alert through."""
        if not flag(request, "active") and not self.silenced_by and not self.inhibited_by:
            return False
        if not flag(request, "silenced") and self.silenced_by:
            return False
        return flag(request, "inhibited") or not self.inhibited_by

    def row(self, now: datetime) -> dict[str, Any]:
        """Return the alert as an answer holds it."""
        alert = self.alert
        return {
            "annotations": {name: str(text) for name, text in alert.annotations.items()},
            "endsAt": moment(alert.ends_at or now + BELIEVED),
            "fingerprint": fingerprint(self.labels),
            "receivers": [{"name": self.receiver}],
            "startsAt": moment(alert.started_at),
            "status": {
                "inhibitedBy": self.inhibited_by, "mutedBy": self.muted_by, "silencedBy": self.silenced_by,
                "state": self.state,
            },
            "updatedAt": moment(alert.updated_at),
            "generatorURL": alert.generator_url,
            "labels": self.labels,
        }  # fmt: skip


@dataclass
class Board:
    """The open alerts at one time with what keeps them quiet."""

    now: datetime

    @cached_property
    def alerts(self) -> list[tuple[Alert, dict[str, str], str]]:
        """Return each open alert, its labels as sent, and the policy it follows."""
        return [(alert, as_sent(alert.name, alert.labels), policy) for alert, policy in quiet_rows.open_alerts()]

    def shown(self) -> Iterator[Shown]:
        """Yield the alerts."""
        quiet, routes = Quiet(self.now), Routes()
        inhibitor = Inhibitor(list(quiet.inhibitions))
        for alert, labels, _ in self.alerts:
            inhibitor.update(engine.Alert(labels, alert.started_at.timestamp(), None, 0.0))
        everyone = next((policy.name for policy in routes.policies if policy.is_default), "")
        by_name = {policy.name: policy.id for policy in routes.policies}
        for alert, labels, policy in self.alerts:
            found = inhibitor.inhibited_by(labels, self.now.timestamp()) if quiet.inhibitions else None
            receiver = policy or everyone
            yield Shown(
                alert, labels, receiver,
                silenced_by=[each.id for each in quiet.silences if all_hold(each.matchers, labels)],
                inhibited_by=[fingerprint(found[1].labels)] if found is not None else [],
                muted_by=[
                    each.name for each in quiet.times if each.mutes(labels, by_name.get(receiver, ""), self.now)
                ],
            )  # fmt: skip


def _asked(request: HttpRequest) -> Iterator[Shown]:
    """Yield the alerts a query asks for; raises Refused."""
    wanted, pattern = filters(request), receiver_pattern(request)
    receiver_filters = filters(request, "receiver_matchers")
    for each in Board(clock.now()).shown():
        if pattern is not None and pattern.search(each.receiver) is None:
            continue
        if receiver_filters and not fits(receiver_filters, {"name": each.receiver}):
            continue
        if fits(wanted, each.labels) and each.asked_for(request):
            yield each


@outage.answered_when_away(away)
@spoken
def alerts_view(request: HttpRequest) -> HttpResponse:
    """GET /api/v2/alerts."""
    reader(request)
    now = clock.now()
    return answer(sorted((each.row(now) for each in _asked(request)), key=lambda row: str(row["fingerprint"])))


@require_GET
@outage.answered_when_away(away)
@spoken
def groups_view(request: HttpRequest) -> HttpResponse:
    """GET /api/v2/alerts/groups: one group a receiver and alert name."""
    reader(request)
    muted, now = flag(request, "muted"), clock.now()
    groups: dict[tuple[str, str], list[Shown]] = {}
    for each in _asked(request):
        if muted or not each.muted_by:
            groups.setdefault((each.labels.get(GROUPED_BY, ""), each.receiver), []).append(each)
    return answer([_group(name, receiver, groups[name, receiver], now) for name, receiver in sorted(groups)])


def _group(name: str, receiver: str, alerts: Iterable[Shown], now: datetime) -> Mapping[str, Any]:
    ordered = sorted(alerts, key=lambda each: sorted(each.labels.items()))
    return {
        "alerts": [each.row(now) for each in ordered],
        "labels": {GROUPED_BY: name},
        "receiver": {"name": receiver},
        "routeLabels": {},
    }


@require_GET
@outage.answered_when_away(away)
@spoken
def receivers_view(request: HttpRequest) -> HttpResponse:
    """GET /api/v2/receivers: each policy is one."""
    reader(request)
    wanted = filters(request, "receiver_matchers")
    rows = [{"name": name, "labels": {"name": name}} for name in receivers(Routes().policies)]
    return answer([row for row in rows if fits(wanted, row["labels"])])  # type: ignore[arg-type]
