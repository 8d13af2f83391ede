"""What would come of a rule, saved or not: what it answers now, who would be told, and in which words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from alerts import pipeline
from alerts.channels import Letter
from alerts.channels.email.mail import text_of
from alerts.channels.github.issue import body_of, title_of
from alerts.channels.slack.blocks import message_of
from alerts.channels.telling import story_of
from alerts.engine.episodes import Episode, Seen
from alerts.engine.fingerprint import fingerprint
from alerts.models import Alert, Channel, Rule, RuleKind
from alerts.pipeline import Case, Observation
from alerts.rule_pages.queries import Query, measured
from alerts.rules import asking
from alerts.rules.texts import annotations_of, labels_of, surroundings
from alerts.services.answers import Held, answer
from alerts.services.decide import policies_for
from alerts.services.labelsets import RULE_ERRORS
from alerts.services.owed import payload_of
from alerts.services.routes import Routes

MOST_ROWS = 20


@dataclass(frozen=True, slots=True)
class Value:
    """One label set of an answer."""

    labels: Mapping[str, str]
    value: float | None
    holds: bool
    severity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What a rule answers at one time, the label sets that hold first; `sample` is the one its message speaks of."""

    at: datetime
    rows: Sequence[Value] = ()
    holding: int = 0
    total: int = 0
    threshold: float | None = None
    problem: str = ""
    sample: Held | None = None
    query: Query | None = None

    @property
    def hidden(self) -> int:
        """Return how many label sets are not shown."""
        return max(0, self.total - len(self.rows))


@dataclass(frozen=True, slots=True)
class StepShown:
    """One step of a policy with the names of who is told."""

    delay_seconds: float
    channels: Sequence[str]
    recipients: Sequence[str]


@dataclass(frozen=True, slots=True)
class Path:
    """Who would be told of a label set, and each stage's reason."""

    policy: str
    steps: Sequence[StepShown]
    decisions: Sequence[pipeline.Decision]
    channels: Sequence[Channel] = ()

    @property
    def nobody(self) -> bool:
        """Say whether no step reaches a channel."""
        return not any(step.channels for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as a type of channel shows it."""

    type: str
    channels: Sequence[str]
    title: str
    body: str = ""
    lines: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    buttons: Sequence[str] = ()
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """All of it."""

    now: Now
    path: Path | None = None
    messages: Sequence[Message] = field(default_factory=tuple)


def preview_of(rule: Rule, at: datetime) -> Preview:
    """Return what would come of a rule at a time; nothing is stored."""
    now = now_of(rule, at)
    if rule.kind == RuleKind.RECORDING or now.problem:
        return Preview(now)
    held = now.sample or _bare(rule)
    path = path_of(rule, held, at)
    return Preview(now, path, _messages(rule, held, path, at, now.threshold))


def now_of(rule: Rule, at: datetime) -> Now:
    """Return what a rule answers at a time, or why it cannot be told."""
    try:
        query = measured(rule)
        if rule.kind == RuleKind.RECORDING:
            return _recorded(query, at)
        found = answer(rule, at)
        held = list(found.held)
        others = _others(rule, query, held, at)
    except RULE_ERRORS as error:
        return Now(at=at, problem=str(error) or type(error).__name__)
    rows = [Value(each.labels, each.value, True, each.severity) for each in held]
    rows += [Value(row.labels, row.value, False) for row in others]
    sample = held[0] if held else _held_of(rule, others[0], at) if others else None
    return Now(
        at=at, rows=rows[:MOST_ROWS], holding=len(held), total=len(rows), threshold=found.threshold, sample=sample,
        query=query,
    )  # fmt: skip


def _recorded(query: Query | None, at: datetime) -> Now:
    rows = asking.instant(query.query, round(at.timestamp() * 1000)) if query else []
    shown = [Value(row.labels, row.value, False) for row in rows[:MOST_ROWS]]
    return Now(at=at, rows=shown, total=len(rows), query=query)


def _others(rule: Rule, query: Query | None, held: Sequence[Held], at: datetime) -> list[asking.Row]:
    """Return what the left side of the comparison answers besides, the nearest to the threshold first."""
    if query is None or not query.expression:
        return []
    at_ms = round((at.timestamp() - rule.group.query_offset_seconds) * 1000)
    known = {frozenset(each.found.items()) for each in held}
    rows = [row for row in asking.instant(query.expression, at_ms) if frozenset(row.labels.items()) not in known]
    limit = query.threshold or 0.0
    return sorted(rows, key=lambda row: abs(row.value - limit))


def _held_of(rule: Rule, row: asking.Row, at: datetime) -> Held:
    own = labels_of(rule, row.labels, row.value, surroundings(at))
    labels = {name: text for name, text in {**row.labels, **own}.items() if text and name != "alertname"}
    labels["severity"] = rule.severity
    return Held(
        fingerprint=fingerprint(rule.alertname, labels), labels=labels, value=row.value, severity=rule.severity,
        found=row.labels,
    )  # fmt: skip


def _bare(rule: Rule) -> Held:
    plain = {name: text for name, text in rule.all_labels.items() if "{{" not in text}
    labels = {**plain, "severity": rule.severity}
    return Held(
        fingerprint=fingerprint(rule.alertname, labels), labels=labels, value=None, severity=rule.severity
    )  # fmt: skip


def path_of(rule: Rule, held: Held, at: datetime) -> Path:
    """Send a label set through the pipeline as if it began to fire, and return whom its policy would tell."""
    seen = Observation(
        name=rule.alertname, labels=held.labels, seen=Seen.FIRING, severity=held.severity, value=held.value,
        cooldown_seconds=rule.cooldown_seconds, reason="as if it began to fire now",
    )  # fmt: skip
    policies = policies_for(seen, Routes())
    case = pipeline.run(Case(observation=seen, known=Episode(), now=at.timestamp(), policies=policies))
    steps = case.policy.steps if case.policy else ()
    rows = {str(each.pk): each for each in Channel.objects.filter(pk__in={pk for one in steps for pk in one.channels})}
    shown = [
        StepShown(step.delay_seconds, [_name(rows.get(pk)) for pk in step.channels], step.recipients) for step in steps
    ]
    told = [row for row in rows.values() if row.enabled]
    return Path(case.policy.name if case.policy else "", shown, case.decisions, sorted(told, key=lambda one: one.name))


def _name(channel: Channel | None) -> str:
    if channel is None:
        return "a deleted channel"
    return channel.name if channel.enabled else f"{channel.name} (switched off)"


def _messages(rule: Rule, held: Held, path: Path, at: datetime, threshold: float | None) -> list[Message]:
    alert = Alert(
        pk=0, name=rule.alertname, severity=held.severity, labels=dict(held.labels), value=held.value, started_at=at,
        threshold=threshold, fingerprint=held.fingerprint,
        annotations={
            **annotations_of(rule, {**held.labels, **held.found}, held.value, held.severity, at), **held.annotations,
        },
    )  # fmt: skip
    payload = payload_of(alert, kind="fire", step=0, now=at)
    letter = Letter(key="sample", at=at, payload=payload, config={}, secret="")
    by_type: dict[str, list[str]] = {}
    for channel in path.channels:
        by_type.setdefault(channel.type, []).append(channel.name)
    return [SHOWN.get(type_, _mail)(type_, names, letter) for type_, names in (by_type or {"email": []}).items()]


def _mail(type_: str, names: Sequence[str], letter: Letter) -> Message:
    story = story_of(letter)
    return Message(type=type_, channels=names, title=story.title, body=text_of(story))


def _issue(type_: str, names: Sequence[str], letter: Letter) -> Message:
    return Message(type=type_, channels=names, title=title_of(story_of(letter)), body=body_of(letter))


def _json(type_: str, names: Sequence[str], letter: Letter) -> Message:
    body = orjson.dumps(dict(letter.payload), option=orjson.OPT_INDENT_2).decode()
    return Message(type=type_, channels=names, title="POST, signed", body=body)


def _slack(type_: str, names: Sequence[str], letter: Letter) -> Message:
    """Take the blocks that are sent apart again, so that the page shows them as Slack would."""
    story = story_of(letter)
    sent = message_of(story, letter)
    blocks: list[dict[str, Any]] = sent["attachments"][0]["blocks"]
    lines = [block["text"]["text"] for block in blocks if block["type"] == "section" and "text" in block]
    buttons = [each["text"]["text"] for block in blocks if block["type"] == "actions" for each in block["elements"]]
    return Message(
        type=type_, channels=names, title=str(sent["blocks"][0]["text"]["text"]), facts=story.facts,
        lines=[_unmarked(line) for line in lines], buttons=buttons, colour=story.severity,
    )  # fmt: skip


def _unmarked(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("*", "")


SHOWN = {"slack": _slack, "github": _issue, "webhook": _json, "email": _mail}
