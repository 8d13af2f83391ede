"""The alert pipeline: one list a reader can read.

Each stage is a pure function over the case; it returns its verdict with the reason, and the reasons are stored with the
alert, so that "why was I paged" and "why was I not paged" are look-ups. `alerts.services.decide` evaluates before and
records after; a backtest runs the same list with another clock and another store.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts.engine import correlation, episodes, escalation
from alerts.engine.correlation import Joining, Question
from alerts.engine.episodes import Change, Episode, Outcome, Seen, Windows
from alerts.engine.fingerprint import fingerprint
from alerts.engine.reasons import ResolvedCause, Why


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
    rule_version: int = 0
    cooldown_seconds: float = 0
    reason: str = ""
    cause: ResolvedCause | None = None  # Why it is over, where it is; None: it recovered.
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
    left_out: int = 0  # Channels the default policy would tell, were it not for their filters.


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stage decided and why; `why` where that settles whether somebody is told."""

    stage: str
    verdict: str
    reason: str
    why: Why | None = None


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
    snoozed_until: float | None = None
    snoozed_by: str = ""
    windows: Windows = field(default_factory=Windows)
    question: Question | None = None  # What bears on which incident it joins; None: no incident is concerned.
    joining: Joining | None = None
    fingerprint: str = ""
    outcome: Outcome | None = None
    policy: PolicyFacts | None = None
    escalate_from: float | None = None
    notify_step: int | None = None
    notify_resolved: bool = False
    gives_back: bool = False  # Whoever has taken or snoozed it is to hear of it again.
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

    @property
    def counted(self) -> bool:
        """Say whether the change is counted and not told, because it flaps."""
        return self.outcome is not None and self.outcome.counted

    @property
    def why(self) -> Why:
        """Return how the pass ended: told, or the one reason for which nobody is."""
        return next((each.why for each in reversed(self.decisions) if each.why is not None), Why.NOT_FIRING)


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
    why = _nothing_new(case)
    return Decision("deduplicate", case.outcome.change, case.observation.reason or case.outcome.reason, why)


def _nothing_new(case: Case) -> Why:
    """Return why nobody is told, as far as what was seen can say."""
    after = case.outcome.after if case.outcome else case.known
    if case.change in (Change.PENDING, Change.DISCARDED):
        return Why.PENDING if case.change is Change.PENDING else Why.NOT_FIRING
    if after.quiet and case.observation.seen is Seen.FIRING:
        return Why.BY_HAND
    if case.change is Change.BECAME_UNKNOWN:
        return Why.STALE
    return Why.DUPLICATE if after.is_open else Why.NOT_FIRING


def taken_stage(case: Case) -> Decision:
    """Decide whether somebody has taken the alert, or wants to hear of it later."""
    holder, word = (case.acked_by, "acknowledgement") if case.acked_by else (case.snoozed_by, "snooze")
    if case.worsened and holder:
        case.gives_back = True
        return Decision("taken", "ends", f"it got worse, which ends the {word} by {holder}")
    if case.begins and case.snoozed_until is not None and case.snoozed_until > case.now:
        return Decision("taken", "snoozed", f"{case.snoozed_by} wants to hear of it later")
    return Decision("taken", "no", "nobody has taken or snoozed it")


def flapping_stage(case: Case) -> Decision:
    """Decide whether the change is told, or counted because the alert comes and goes."""
    after = case.outcome.after if case.outcome else case.known
    if case.counted:
        return Decision(
            "flapping", "counted", f"change {after.flaps} since it flaps is counted, not told", Why.FLAPPING
        )
    if case.begins and after.flaps_at(case.now):
        return Decision("flapping", "begins", "it is told that it flaps; what follows is counted")
    return Decision("flapping", "no", "it does not come and go")


def correlate_stage(case: Case) -> Decision:
    """Decide which incident it belongs to, and whether the incident speaks for it."""
    if case.question is None or not (case.begins or case.worsened):
        return Decision("correlate", "none", "no incident is concerned")
    asked = case.question
    case.joining = correlation.correlate(
        asked.fit, asked.taking, asked.own, severity=case.observation.severity, now=case.now
    )
    return Decision("correlate", "listed" if case.joining.listed else case.joining.verb, case.joining.reason)


def route_stage(case: Case) -> Decision:
    """Choose the first policy whose triggers match, else the default one; one that is followed goes on as it is."""
    if case.counted or not (case.begins or case.worsened):
        return Decision("route", "none", "nobody is to be told of a beginning")
    policy, because = _first_match(case)
    if case.worsened and policy is not None and policy.id == case.followed and not case.gives_back:
        because = "the policy it follows still matches first: nobody is told again"
        return Decision("route", policy.name, because, Why.DUPLICATE)
    case.policy = policy
    return Decision("route", policy.name if policy else "nobody", because, None if policy else Why.NO_POLICY)


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
    """Decide from when the steps are counted: cooldown and snoozing put it off."""
    if case.policy is None:
        return Decision("escalate", "none", "there is no policy to follow")
    hold = escalation.held_until(
        case.now, last_told_at=case.last_told_at, cooldown_seconds=case.observation.cooldown_seconds,
        snoozed_until=None if case.gives_back else case.snoozed_until,
    )  # fmt: skip
    case.escalate_from = hold.until
    seconds = hold.until - case.now
    if seconds > 0:
        because = f"{case.snoozed_by} snoozed it" if hold.why is Why.SNOOZED else "of the rule's cooldown"
        return Decision("escalate", "held", f"told in {seconds:.0f} s if it still fires, because {because}", hold.why)
    if not case.policy.steps:
        return Decision("escalate", "none", "the policy has no steps", Why.NO_STEP)
    steps = len(case.policy.steps)
    return Decision("escalate", "armed", f"{steps} step{'s' * (steps != 1)} from now")


def notify_stage(case: Case) -> Decision:
    """Decide what is owed at once: the first step, or the news that it is over."""
    if case.change is Change.RESOLVED and not case.counted:
        case.notify_resolved = True
        return Decision("notify", "resolve", "to every channel that was told of the beginning", Why.TOLD)
    if case.policy is None or case.escalate_from is None or not case.policy.steps:
        return Decision("notify", "none", "no step is due")
    if case.escalate_from > case.now:
        return Decision("notify", "later", "the first step is put off")
    if case.escalate_from + case.policy.steps[0].delay_seconds > case.now:
        return Decision("notify", "later", "the first step is still ahead", Why.LATER)
    case.notify_step = 0
    channels = len(case.policy.steps[0].channels)
    if not channels and case.policy.left_out:
        because = f"the filters of all {case.policy.left_out} channels leave it out"
        return Decision("notify", "none", because, Why.CHANNEL_FILTER)
    if not channels:
        return Decision("notify", "fire", "step 1 has no channel: nobody is told", Why.NO_CHANNEL)
    return Decision("notify", "fire", f"step 1 to {channels} channels", Why.TOLD)


Stage = Callable[[Case], Decision]
STAGES: tuple[Stage, ...] = (
    fingerprint_stage,
    deduplicate_stage,
    correlate_stage,
    taken_stage,
    flapping_stage,
    route_stage,
    escalate_stage,
    notify_stage,
)


def run(case: Case, stages: Sequence[Stage] = STAGES) -> Case:
    """Send a case through the stages and keep what each decided."""
    for stage in stages:
        case.decisions.append(stage(case))
    return case
