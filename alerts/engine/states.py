"""The states of rules, alerts, escalations and notifications, one comment each."""

from enum import StrEnum


class RuleStateName(StrEnum):
    """Where one label set of a rule stands."""

    INACTIVE = "inactive"  # The condition does not hold.
    PENDING = "pending"  # It holds, but not yet for `for_seconds`.
    FIRING = "firing"  # It has held long enough.
    KEEP_FIRING = "keep_firing"  # It holds no longer, but `keep_firing_for_seconds` is not over.
    UNKNOWN = "unknown"  # The query failed or its data is gone: neither firing nor resolved.


class AlertState(StrEnum):
    """Where an alert stands; acknowledged, snoozed, stale and flapping are modifiers, not states."""

    PENDING = "pending"  # Seen, waiting for `for_seconds`.
    FIRING = "firing"  # True now.
    UNKNOWN = "unknown"  # Was firing, and we can no longer tell.
    RESOLVED = "resolved"  # Over, with a cause.


class NotificationState(StrEnum):
    """Where one owed message stands."""

    DUE = "due"  # Owed: waiting, being sent, or waiting for its next try.
    DONE = "done"  # The receiver said yes.
    FAILED = "failed"  # Given up, with the reason in `last_error`.
    CANCELLED = "cancelled"  # No longer owed, with the reason in `cancelled_because`.


class NotificationKind(StrEnum):
    """What a message says."""

    FIRE = "fire"  # It began.
    REPEAT = "repeat"  # It goes on; a later step of the policy.
    UPDATE = "update"  # Somebody took it on, or gave it back.
    RESOLVE = "resolve"  # It is over.
    TEST = "test"  # Somebody pressed the test button.
    SUMMARY = "summary"  # A storm: many alerts folded into one message.
    HANDOVER = "handover"  # A silence ends soon while alerts it covers still fire.


class EscalationState(StrEnum):
    """Where the policy of one episode stands."""

    ACTIVE = "active"  # A step is ahead at `due_at`.
    DONE = "done"  # Every step was carried out.
    STOPPED = "stopped"  # Acknowledged, resolved or without a policy; the reason is in `stopped_because`.


class BreakerState(StrEnum):
    """Whether a channel is called at all; an open one is probed once `breaker_until` has passed."""

    CLOSED = "closed"  # Called as usual.
    OPEN = "open"  # Left alone, then tried with one message.


class Severity(StrEnum):
    """How bad; the received text stays in the label `severity_original`."""

    CRITICAL = "critical"  # Wake somebody.
    HIGH = "high"  # Today.
    MEDIUM = "medium"  # This week.
    LOW = "low"  # Good to know.


class AttemptOutcome(StrEnum):
    """How one try to send ended."""

    DELIVERED = "delivered"  # 2xx.
    REFUSED = "refused"  # The receiver answered no: nothing was delivered.
    UNREACHABLE = "unreachable"  # No connection: nothing was delivered.
    UNKNOWN = "unknown"  # Cut off after sending: it may have arrived.


class WebhookState(StrEnum):
    """Where one message that came in stands."""

    DUE = "due"  # Stored, not dealt with.
    DONE = "done"  # Dealt with: `outcome` says what came of it.
    QUARANTINED = "quarantined"  # Given up after several tries, with the reason in `last_error`.


class QuietKind(StrEnum):
    """What keeps an alert from being told."""

    SILENCE = "silence"  # Somebody asked for quiet until a time.
    INHIBITION = "inhibition"  # Another alert that fires says it already.
    MUTE_TIME = "mute_time"  # It is not the time to tell.
    INCIDENT = "incident"  # Somebody was told of the incident that lists it.


class BackfillState(StrEnum):
    """Where the work of computing a recording rule over the past stands."""

    DUE = "due"  # Slices are ahead.
    DONE = "done"  # All of it is written.
    FAILED = "failed"  # Given up, with the reason in `last_error`; what was written stays.
    CANCELLED = "cancelled"  # Stopped by a person; what was written stays.
