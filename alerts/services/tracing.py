"""How a pass of the pipeline is kept: its gates in order, the one way it ended, and under which configuration.

An event of an alert keeps all of it (`kept`), the alert itself the gates of the pass that last changed it and, of the
very last pass, how it ended. Between two events nothing changed, so both together answer for any minute.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from aivillage_console.lib import clock
from alerts.engine.reasons import Held, Why
from alerts.models import Alert, Notification
from alerts.pipeline import Case, Decision, PolicyFacts

# At which gate a message is kept back that the policy had asked for.
STAGES: Mapping[Why, str] = {
    Why.INHIBITED: "inhibit", Why.SILENCED: "silence", Why.MUTE_TIME: "mute time", Why.DIGEST: "limit",
    Why.CHANNEL_FILTER: "channel", Why.CHANNEL_OFF: "channel", Why.INCIDENT: "correlate",
}  # fmt: skip


def gates(decisions: Iterable[Decision]) -> list[dict[str, str]]:
    """Return what each stage decided, as it is kept."""
    return [{"stage": each.stage, "verdict": each.verdict, "reason": each.reason} for each in decisions]


def policy_named(policy: PolicyFacts | None) -> dict[str, Any] | None:
    """Return which policy it was, and in which version."""
    return {"id": policy.id, "name": policy.name, "version": policy.version} if policy is not None else None


def last_pass(case: Case) -> dict[str, Any]:
    """Return when and how a pass ended, and under which configuration."""
    return passed(
        clock.at_seconds(case.now), case.why, case.decisions[-1].reason if case.decisions else "",
        rule_version=case.observation.rule_version, policy=policy_named(case.policy),
    )  # fmt: skip


def passed(
    at: datetime, why: Why, reason: str, *, rule_version: int = 0, policy: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return how a pass ended, as it is kept."""
    return {
        "at": at.isoformat(), "why": why.value, "reason": reason[:300],
        "rule_version": rule_version or None, "policy": dict(policy) if policy else None,
    }  # fmt: skip


def kept(alert: Alert) -> dict[str, Any]:
    """Return what an event keeps of the pass that made it."""
    ended = {name: value for name, value in alert.last_pass.items() if name not in ("at", "reason")}
    return {"decisions": alert.decisions, **ended}


def held_of(rows: Sequence[Notification], *, wanted: int) -> Held | None:
    """Return why nobody is told of a step; None where somebody is."""
    if any(not row.withheld for row in rows):
        return None
    if rows:
        return Held(Why(rows[0].withheld), rows[0].cancelled_because)
    if wanted:
        return Held(Why.CHANNEL_OFF, "every channel of the step is switched off or gone")
    return Held(Why.NO_CHANNEL, "the step has no channel: nobody is told")
