"""Where the pipeline keeps what it decides: the tables for what happens, a memory for what would have happened.

Every function that decides takes a ledger and asks and tells it alone, so that a backtest runs the same functions. A
ledger decides nothing: it finds, keeps and counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from django.db import connection, transaction
from django.db.models import Max

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import doorbell, live, outbox
from alerts.engine.reasons import Held
from alerts.engine.states import EscalationState, NotificationState
from alerts.models import Alert, AlertEvent, Channel, Escalation, Notification, Quieted, Rule, RuleState
from alerts.pipeline import Case
from alerts.services import correlate
from alerts.services.correlate import Correlating
from alerts.services.quieting import Quiet
from alerts.services.routes import Routes

TOLD_KINDS = ("fire", "repeat")
OPEN_DIGEST = """
SELECT 1 FROM alerts_notification WHERE key = %s AND state = 'due' AND lease_token IS NULL AND attempts = 0 FOR SHARE
"""
# What arming anew writes over.
ARMED = [
    "repeat_no", "policy_snapshot", "started_at", "step", "due_at", "state", "stopped_because", "lease_token",
    "attempts", "last_error",
]  # fmt: skip


class Ledger(Protocol):
    """What the deciding functions ask, and where they put what they decided."""

    @property
    def shows(self) -> bool:
        """Say whether anybody will read the evidence, which costs queries."""

    def together(self) -> AbstractContextManager[Any]:
        """Keep all that is told inside, or nothing of it."""

    # Rules.

    def states(self, rule: Rule) -> Sequence[RuleState]:
        """Return where the label sets of a rule stand, in no order."""

    def keep_state(self, state: RuleState) -> None:
        """Keep where a label set stands."""

    def drop_state(self, state: RuleState) -> None:
        """Forget a label set, if it was kept."""

    def keep_health(self, rule: Rule, **fields: Any) -> None:
        """Keep how an evaluation of a rule ended."""

    # Alerts.

    def alert(self, print_of: str) -> Alert | None:
        """Return an alert, held until the transaction ends."""

    def fresh(self, blank: Alert) -> Alert | None:
        """Keep an alert nobody has seen before, and return what is kept under its fingerprint."""

    def save(self, alert: Alert) -> None:
        """Keep an alert as it is now."""

    def forget(self, alert: Alert) -> None:
        """Drop an alert that never fired."""

    def tell(self, event: AlertEvent) -> None:
        """Append to the story of an alert."""

    def changed(self, alert: Alert) -> None:
        """Tell open pages that an alert changed."""

    # Policies.

    def routes(self) -> Routes:
        """Return who is told by which policy."""

    def followed(self, alert: Alert) -> str:
        """Return the id of the policy the episode follows, or an empty text."""

    def arm(self, row: Escalation) -> None:
        """Start a policy, also where the episode has had one."""

    def rearm(self, alert: Alert, **fields: Any) -> bool:
        """Begin the episode's policy again; return False where it had none."""

    def advance(self, row: Escalation, **fields: Any) -> None:
        """Keep which step of a policy is ahead."""

    def stop(self, alert: Alert, because: str) -> None:
        """Stop the steps ahead."""

    # Messages.

    def channels(self, ids: Iterable[Any]) -> list[Channel]:
        """Return the channels of these ids that are on."""

    def told(self, alert: Alert) -> list[Channel]:
        """Return the channels that were, or may have been, told of the running episode and are on."""

    def last_told_at(self, alert: Alert) -> float | None:
        """Return when somebody was last told that the alert began."""

    def told_of_late(self, channel: Channel, since: datetime, most: int) -> int:
        """Return how many messages a channel was owed since a time, counted as far as `most`."""

    def owe(self, rows: list[Notification]) -> None:
        """Keep messages; what is kept under the same key is left alone."""

    def digest(self, candidates: Iterator[Notification]) -> str:
        """Keep the first digest that can still tell of more, and return its key."""

    def cancel_unsent(self, alert: Alert, *, held: Held, now: datetime, kinds: Iterable[str]) -> int:
        """Cancel what is owed and not in flight; return how many."""

    # Incidents.

    def correlating(self, routes: Routes) -> Correlating | None:
        """Return what asks for the incidents of a transaction; None where alerts are not put into any."""

    def joined(self, decided: Sequence[tuple[Alert, Case]], now: datetime) -> None:
        """Keep which incidents alerts are in by what was decided of them."""

    def incident_told(self, alert: Alert) -> dict[str, Any] | None:
        """Return what messages say of the incident an alert is in, None where it is in none."""

    # Quiet.

    def quiet(self, now: datetime) -> Quiet:
        """Return what keeps alerts quiet at a time."""

    def keep_quieted(self, row: Quieted) -> None:
        """Remember that an alert was not told, instead of what was remembered of it."""

    def drop_quieted(self, row: Quieted) -> None:
        """Forget that an alert was not told."""


class Desk(Ledger, Protocol):
    """What people and the clock need besides: one alert by its number, and what receivers were told before."""

    def held(self, alert_id: int) -> Alert:
        """Return an alert, held until the transaction ends; raises DoesNotExist."""

    def policy(self, alert: Alert) -> Escalation | None:
        """Return the policy of the running episode."""

    def earlier(self, row: Notification) -> Sequence[Notification]:
        """Return what the receiver of a message was owed before of the same episode, the oldest first."""

    def has_later_word(self, row: Notification) -> bool:
        """Say whether the receiver is owed a later word about the alert."""

    def outcomes(self, row: Notification) -> Sequence[str]:
        """Return how each try of a message ended."""

    def audited(self, actor: Actor, action: str, alert: Alert, **facts: Any) -> None:
        """Write into the audit trail who did what to an alert."""


class Tables:
    """The database, and the bells that go with it."""

    shows = True

    def together(self) -> AbstractContextManager[Any]:
        """Return a transaction, or a savepoint of the one that is open."""
        return transaction.atomic()

    def states(self, rule: Rule) -> Sequence[RuleState]:
        """Read where the label sets of a rule stand."""
        return list(rule.states.all())

    def keep_state(self, state: RuleState) -> None:
        """Store where a label set stands."""
        state.save()

    def drop_state(self, state: RuleState) -> None:
        """Delete a label set that is stored."""
        if state.pk:
            state.delete()

    def keep_health(self, rule: Rule, **fields: Any) -> None:
        """Store how an evaluation ended; the rule may be being edited, so nothing else is written."""
        Rule.objects.filter(pk=rule.pk).update(**fields)

    def alert(self, print_of: str) -> Alert | None:
        """Lock an alert."""
        return Alert.objects.select_for_update().filter(fingerprint=print_of).first()

    def fresh(self, blank: Alert) -> Alert | None:
        """Insert an alert, unless somebody was faster, and lock it."""
        Alert.objects.bulk_create([blank], ignore_conflicts=True)
        return self.alert(blank.fingerprint)

    def save(self, alert: Alert) -> None:
        """Store an alert."""
        alert.save()

    def forget(self, alert: Alert) -> None:
        """Delete an alert."""
        alert.delete()

    def tell(self, event: AlertEvent) -> None:
        """Store an event."""
        event.save()

    def changed(self, alert: Alert) -> None:
        """Ring for the pages that show alerts."""
        for topic in ("alerts", f"alert:{alert.pk}", "overview"):
            live.ring(topic)

    def routes(self) -> Routes:
        """Return what the tables say."""
        return Routes()

    def followed(self, alert: Alert) -> str:
        """Read the id of the episode's policy."""
        rows = Escalation.objects.filter(alert=alert, episode=alert.episode)
        return str(rows.values_list("policy_snapshot__id", flat=True).first() or "")

    def arm(self, row: Escalation) -> None:
        """Store a policy that begins."""
        Escalation.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["alert", "episode"], update_fields=ARMED
        )

    def rearm(self, alert: Alert, **fields: Any) -> bool:
        """Begin the stored policy again, and ring for whoever carries it out."""
        again = Escalation.objects.filter(alert=alert, episode=alert.episode).update(**fields)
        if again:
            doorbell.ring("escalate")
        return bool(again)

    def advance(self, row: Escalation, **fields: Any) -> None:
        """Give the lease of a policy back."""
        outbox.finish(row, **fields)

    def stop(self, alert: Alert, because: str) -> None:
        """Stop the stored policy."""
        running = Escalation.objects.filter(alert=alert, state=EscalationState.ACTIVE.value)
        running.update(state=EscalationState.STOPPED.value, stopped_because=because[:300], lease_token=None)

    def channels(self, ids: Iterable[Any]) -> list[Channel]:
        """Read channels."""
        return list(Channel.objects.filter(pk__in=ids, enabled=True))

    def told(self, alert: Alert) -> list[Channel]:
        """Read the channels to which a message of the episode was tried."""
        rows = Notification.objects.filter(alert=alert, episode=alert.episode, kind__in=TOLD_KINDS)
        tried = rows.filter(attempts__gt=0, channel__isnull=False).values_list("channel_id", flat=True)
        return self.channels(set(tried))

    def last_told_at(self, alert: Alert) -> float | None:
        """Read when a message was last owed."""
        rows = Notification.objects.filter(alert=alert, kind="fire").exclude(state="cancelled")
        at = rows.aggregate(at=Max("created_at"))["at"]
        return at.timestamp() if at else None

    def told_of_late(self, channel: Channel, since: datetime, most: int) -> int:
        """Count messages; only as far as is asked, for a storm must not make each further row dearer."""
        recent = Notification.objects.filter(channel=channel, created_at__gt=since, kind__in=TOLD_KINDS)
        return recent.exclude(state=NotificationState.CANCELLED)[:most].count()

    def owe(self, rows: list[Notification]) -> None:
        """Store messages, and ring for whoever sends them."""
        Notification.objects.bulk_create(rows, ignore_conflicts=True)
        if rows:
            doorbell.ring("dispatch")

    def digest(self, candidates: Iterator[Notification]) -> str:
        """Store a digest, shared with others that fold; one that is being sent has been written already.

        The lock keeps it from being sent before this transaction ends: whoever sends it sees what is folded here.
        """
        for row in candidates:
            Notification.objects.bulk_create([row], ignore_conflicts=True)
            with connection.cursor() as cursor:
                cursor.execute(OPEN_DIGEST, [row.key])
                if cursor.fetchone():
                    break
        return row.key

    def cancel_unsent(self, alert: Alert, *, held: Held, now: datetime, kinds: Iterable[str]) -> int:
        """Cancel stored messages."""
        waiting = Notification.objects.filter(
            alert=alert, state=NotificationState.DUE.value, lease_token__isnull=True, kind__in=list(kinds)
        )
        return waiting.update(
            state=NotificationState.CANCELLED.value, withheld=held.why.value, cancelled_because=held.text[:300],
            finished_at=now,
        )  # fmt: skip

    def correlating(self, routes: Routes) -> Correlating | None:
        """Return what asks the tables."""
        return Correlating(routes.correlation, routes.any_incident)

    def joined(self, decided: Sequence[tuple[Alert, Case]], now: datetime) -> None:
        """Store who is in which incident."""
        correlate.store(decided, now)

    def incident_told(self, alert: Alert) -> dict[str, Any] | None:
        """Read the incident of an alert."""
        return correlate.incident_told(alert)

    def held(self, alert_id: int) -> Alert:
        """Lock an alert."""
        return Alert.objects.select_for_update().get(pk=alert_id)

    def policy(self, alert: Alert) -> Escalation | None:
        """Read the policy of the running episode."""
        return Escalation.objects.filter(alert=alert, episode=alert.episode).first()

    def earlier(self, row: Notification) -> Sequence[Notification]:
        """Read what came before a message."""
        rows = Notification.objects.filter(alert=row.alert, episode=row.episode, channel=row.channel, pk__lt=row.pk)
        return list(rows.defer("payload").order_by("pk"))

    def has_later_word(self, row: Notification) -> bool:
        """Look for a later word."""
        return Notification.objects.filter(
            alert=row.alert, channel=row.channel, kind="update", id__gt=row.pk
        ).exists()  # fmt: skip

    def outcomes(self, row: Notification) -> Sequence[str]:
        """Read the tries of a message."""
        return list(row.tries.values_list("outcome", flat=True))

    def audited(self, actor: Actor, action: str, alert: Alert, **facts: Any) -> None:
        """Write the audit row in the same transaction."""
        audit(actor, action, alert, **facts)

    def quiet(self, now: datetime) -> Quiet:
        """Return what the tables say."""
        return Quiet(now)

    def keep_quieted(self, row: Quieted) -> None:
        """Store that an alert was not told."""
        Quieted.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["alert"],
            update_fields=["episode", "kind", "by", "reason", "policy_id", "due_at"],
        )  # fmt: skip

    def drop_quieted(self, row: Quieted) -> None:
        """Delete the row."""
        row.delete()


TABLES = Tables()
