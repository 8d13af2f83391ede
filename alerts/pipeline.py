"""The alert pipeline: one list a reader can read.

Each stage is a pure function over the case; it returns its verdict with the reason, and the reasons are stored with the
alert, so that "why was I paged" and "why was I not paged" are look-ups. `alerts.services.decide` evaluates before and
records after; a backtest runs the same list with another clock and another store.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts.engine import episodes, escalation
from alerts.engine.episodes import Change, Episode, Outcome, Seen, Windows
from alerts.engine.fingerprint import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of one alert, by a rule or by a foreign sender."""

    name: str
    labels: Mapping[str, str]
    seen: Seen
    severity: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    threshold: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    rule_id: Any = None
    source_id: Any = None
    cooldown_seconds: float = 0
    reason: str = ""
    generator_url: str = ""
    ends_at: Any = None
    started_at: Any = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a policy as it was when the episode began."""

    delay_seconds: float
    channels: tuple[str, ...]
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """A policy as the pipeline sees it."""

    id: str
    name: str
    version: int
    triggers: Sequence[Mapping[str, Any]]
    steps: tuple[Step, ...]
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stage decided and why."""

    stage: str
    verdict: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Case:
    """One observation on its way through the stages."""

    observation: Observation
    known: Episode
    now: float
    policies: Sequence[PolicyFacts] = ()
    last_told_at: float | None = None
    followed: str = ""  # Id of the policy the running episode follows.
    acked_by: str = ""
    windows: Windows = field(default_factory=Windows)
    fingerprint: str = ""
    outcome: Outcome | None = None
    policy: PolicyFacts | None = None
    escalate_from: float | None = None
    notify_step: int | None = None
    notify_resolved: bool = False
    decisions: list[Decision] = field(default_factory=list)

    @property
    def change(self) -> Change:
        """Return what the observation changed."""
        return self.outcome.change if self.outcome else Change.NONE

    @property
    def begins(self) -> bool:
        """Say whether somebody has to be told that it fires."""
        return self.change in (Change.STARTED, Change.REOPENED)

    @property
    def worsened(self) -> bool:
        """Say whether an alert that runs became more severe."""
        return self.change is Change.WORSENED


def facts(observation: Observation) -> dict[str, str]:
    """Return what triggers and filters are matched against."""
    return {**observation.labels, "alertname": observation.name, "severity": observation.severity}


def fingerprint_stage(case: Case) -> Decision:
    """Name the alert this observation is about."""
    case.fingerprint = fingerprint(case.observation.name, case.observation.labels)
    return Decision("fingerprint", case.fingerprint[:12], "name and labels")


def deduplicate_stage(case: Case) -> Decision:
    """Decide whether it begins, goes on, or ends."""
    seen = case.observation
    case.outcome = episodes.observe(case.known, seen.seen, case.now, case.windows, severity=seen.severity)
    return Decision("deduplicate", case.outcome.change, case.observation.reason or case.outcome.reason)


def route_stage(case: Case) -> Decision:
    """Choose the first policy whose triggers match, else the default one; one that is followed goes on as it is."""
    if not (case.begins or case.worsened):
        return Decision("route", "none", "nobody is to be told of a beginning")
    if case.worsened and case.acked_by:
        return Decision("route", "none", f"{case.acked_by} has taken it on: nobody else is told")
    policy, because = _first_match(case)
    if case.worsened and policy is not None and policy.id == case.followed:
        return Decision("route", policy.name, "the policy it follows still matches first: nobody is told again")
    case.policy = policy
    return Decision("route", policy.name if policy else "nobody", because)


def _first_match(case: Case) -> tuple[PolicyFacts | None, str]:
    known = facts(case.observation)
    listed = [policy for policy in case.policies if not policy.is_default]
    policy = next((policy for policy in listed if escalation.matches(policy.triggers, known)), None)
    if policy is not None:
        return policy, f"its triggers match (version {policy.version})"
    policy = next((policy for policy in case.policies if policy.is_default), None)
    if policy is None:
        return None, "no policy matches and there is no default: nobody is told"
    return policy, "no other policy matches, so the default is taken"


def escalate_stage(case: Case) -> Decision:
    """Decide from when the steps are counted: cooldown and flapping put it off."""
    if case.policy is None or case.outcome is None:
        return Decision("escalate", "none", "there is no policy to follow")
    case.escalate_from = escalation.held_until(
        case.now,
        last_told_at=case.last_told_at,
        cooldown_seconds=case.observation.cooldown_seconds,
        flapping_until=case.outcome.after.flapping_until,
    )
    held = case.escalate_from - case.now
    if held > 0:
        why = "it is flapping" if case.outcome.after.flapping_until else "of the rule's cooldown"
        return Decision("escalate", "held", f"told in {held:.0f} s if it still fires, because {why}")
    return Decision("escalate", "armed", f"{len(case.policy.steps)} steps from now")


def notify_stage(case: Case) -> Decision:
    """Decide what is owed at once: the first step, or the news that it is over."""
    if case.change is Change.RESOLVED:
        case.notify_resolved = True
        return Decision("notify", "resolve", "to every channel that was told of the beginning")
    if case.policy is None or case.escalate_from is None or not case.policy.steps:
        return Decision("notify", "none", "no step is due")
    if case.escalate_from + case.policy.steps[0].delay_seconds > case.now:
        return Decision("notify", "later", "the first step is still ahead")
    case.notify_step = 0
    channels = len(case.policy.steps[0].channels)
    return Decision(
        "notify", "fire", f"step 1 to {channels} channels" if channels else "step 1 has no channel: nobody is told"
    )


Stage = Callable[[Case], Decision]
STAGES: tuple[Stage, ...] = (
    fingerprint_stage,
    deduplicate_stage,
    route_stage,
    escalate_stage,
    notify_stage,
)


def run(case: Case, stages: Sequence[Stage] = STAGES) -> Case:
    """Send a case through the stages and keep what each decided."""
    for stage in stages:
        case.decisions.append(stage(case))
    return case
