"""What a message says, in the same words for every channel, before each dresses it in its own form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from alerts.channels.message import Letter
from alerts.engine.reasons import CAUSE_WORDS

# Shape first, colour second: nobody has to tell the colours apart.
GLYPHS = {"critical": "⬢", "high": "▲", "medium": "◆", "low": "●"}
COLOURS = {"critical": "#870F2F", "high": "#AD5407", "medium": "#C58708", "low": "#477EF3"}
OVER_GLYPH, OVER_COLOUR = "✓", "#3F7E6D"
UNKNOWN_GLYPH, UNKNOWN_COLOUR = "▢", "#794C9C"
# What these say is said by the sentence that goes with them.
PLAIN_CAUSES = frozenset({"recovered", "upstream"})
LABELS = 20
LONG = 1500
SHORT = 200
FOLDED = 400


@dataclass(frozen=True, slots=True)
class Story:
    """A message, taken apart; every text is plain, bounded and without control characters."""

    title: str  # [HIGH] name
    name: str
    severity: str
    glyph: str
    colour: str
    headline: str  # What changed, as one sentence.
    summary: str
    description: str
    impact: str
    steps: str  # What to do.
    facts: Sequence[tuple[str, str]]
    links: Sequence[tuple[str, str]]
    labels: Mapping[str, str]
    folded: Sequence[str]  # The alerts a storm summary speaks of.
    over: bool


def clip(text: object, limit: int) -> str:
    """Return a text of at most so many characters, in which only line ends are left of what controls a terminal."""
    plain = "".join(
        letter if letter == "\n" or letter.isprintable() else " " for letter in str(text or "").replace("\r", "")
    ).strip()
    return plain if len(plain) <= limit else f"{plain[: limit - 1]}…"


def line(text: object, limit: int = SHORT) -> str:
    """Return a text as one line."""
    return " ".join(clip(text, limit).split())


def web_url(text: object) -> str:
    """Return an address people may be sent to, or an empty text: data must not bring a link of another kind."""
    address = str(text or "")
    if len(address) > 2000 or any(not 32 < ord(letter) < 127 or letter in "<>\"'`|\\" for letter in address):
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return address if parts.scheme in ("http", "https") and parts.hostname else ""


def moment(text: object) -> str:
    """Return an ISO time as people read it, with its zone."""
    at = moment_of(text)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def moment_of(text: object) -> datetime | None:
    """Return an ISO time, or None."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def number(value: object) -> str:
    """Return a number as people write it."""
    return f"{value:,.6g}" if isinstance(value, int | float) else ""


def lasting(began: object, ended: object) -> str:
    """Return how long something lasted, in its two largest units."""
    first, last = moment_of(began), moment_of(ended)
    if first is None or last is None or last < first:
        return ""
    seconds = int((last - first).total_seconds())
    parts = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    said = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(said[:2]) or "0 s"


def story_of(letter: Letter) -> Story:
    """Return what a message says."""
    payload = letter.payload
    notes = payload.get("annotations") or {}
    severity = line(payload.get("severity"), 20).lower() or "unknown"
    name = line(payload.get("alert_name"), SHORT) or "Alert"
    return Story(
        title=f"[{severity.upper()}] {name}", name=name, severity=severity,
        glyph=OVER_GLYPH if letter.over else GLYPHS.get(severity, UNKNOWN_GLYPH),
        colour=OVER_COLOUR if letter.over else COLOURS.get(severity, UNKNOWN_COLOUR),
        headline=line(_headline(letter), 300), summary=line(payload.get("summary"), 500),
        description=clip(payload.get("description"), LONG), impact=clip(notes.get("impact"), LONG),
        steps=clip(notes.get("runbook"), LONG), facts=_facts(letter), links=_links(letter),
        labels={line(name, 100): line(value, SHORT) for name, value in _first(payload.get("labels"))},
        folded=[line(_folded(one), FOLDED) for one in payload.get("alerts") or []],
        over=letter.over,
    )  # fmt: skip


def _folded(one: Mapping[str, Any]) -> str:
    """Return a line of a digest: how many alerts of which name, and where they are."""
    count = one.get("count") or 1
    which = f"#{one.get('alert_id')}" if count == 1 else f"{count}×"
    return f"{which} {one.get('severity')}: {line(one.get('alert_name'))} {web_url(one.get('url'))}"


def _first(labels: object) -> list[tuple[str, Any]]:
    return sorted(labels.items())[:LABELS] if isinstance(labels, dict) else []


def worsened_from(letter: Letter) -> str:
    """Return the severity the receiver knows of where it is no longer the alert's, else an empty text."""
    was = str(letter.facts.get("was_severity") or "")
    return was if was and was != letter.payload.get("severity") else ""


def _headline(letter: Letter) -> str:
    payload = letter.payload
    if letter.kind == "test":
        return "This is a test: nothing is wrong."
    if letter.kind == "summary":
        return "More alerts fired at once than are told one by one."
    if letter.kind == "handover":
        return "A silence ends soon, and alerts it covers still fire."
    if letter.over:
        took = lasting(payload.get("started_at"), payload.get("resolved_at"))
        return f"Resolved{f' after {took}' if took else ''}: {_cause(payload)}"
    if was := worsened_from(letter):
        return f"It got worse: {payload.get('severity')}, was {was}"
    if letter.kind == "update" and payload.get("said"):
        return str(payload["said"])
    if letter.kind == "update":
        who = payload.get("acknowledged_by")
        return f"Acknowledged by {who}" if who else "Given back: nobody has it"
    if letter.kind == "repeat":
        return f"Still firing and not acknowledged: step {letter.step} of the policy"
    again = "Firing again" if letter.facts.get("reopened") else "Firing"
    flapping = payload.get("flapping") or {}
    if not flapping:
        return again
    return f"{again}, and flapping: what follows is counted, and told once it has come to rest"


def _cause(payload: Mapping[str, Any]) -> str:
    """Return why it ended: the sentence, with the cause before it where the sentence leaves it out."""
    cause = CAUSE_WORDS.get(str(payload.get("resolved_cause") or ""), "")
    because = str(payload.get("resolved_because") or "")
    if not cause or not because or cause in because:
        return because or cause or "recovered"
    return because if payload.get("resolved_cause") in PLAIN_CAUSES else f"{cause}: {because}"


def _facts(letter: Letter) -> list[tuple[str, str]]:
    payload, facts = letter.payload, letter.facts
    labels = payload.get("labels") if isinstance(payload.get("labels"), dict) else {}
    found = [
        ("Severity", line(payload.get("severity"), 20)),
        ("Value", number(payload.get("metric_value"))),
        ("Threshold", number(payload.get("threshold"))),
        ("Since", moment(payload.get("started_at") or payload.get("timestamp"))),
        ("Ended", moment(payload.get("resolved_at")) if letter.over else ""),
        ("Component", line((labels or {}).get("component"), 100)),
        ("Incident", _incident(payload)),
        ("Owner", line(facts.get("owner"), 100)),
        ("Acknowledged by", line(payload.get("acknowledged_by"), 100)),
        ("Next escalation", moment(facts.get("next_step_at"))),
        ("Fired this week", f"{facts['fired_this_week']}×" if facts.get("fired_this_week") else ""),
    ]
    return [(name, value) for name, value in found if value]


def _incident(payload: Mapping[str, Any]) -> str:
    """Return the incident of the alert in words; one alert alone is not called one."""
    found = payload.get("incident")
    if not isinstance(found, dict) or not isinstance(found.get("alerts"), int) or found["alerts"] < 2:
        return ""
    return line(f"#{found.get('id')} {found.get('name')}, {found['alerts']} alerts")


def _links(letter: Letter) -> list[tuple[str, str]]:
    alert, notes = web_url(letter.payload.get("url")), letter.payload.get("annotations") or {}
    if letter.kind == "handover":
        return [("Extend the silence", alert)] if alert else []
    found = [
        ("Open the alert" if letter.over or letter.payload.get("acknowledged_by") else "Acknowledge", alert),
        ("Evidence", f"{alert}#h-evidence" if alert else ""),
        ("Incident", web_url(letter.payload["incident"].get("url")) if _incident(letter.payload) else ""),
        ("Runbook", web_url(letter.payload.get("runbook_url") or notes.get("runbook_url"))),
        ("Console", "" if alert else web_url(letter.facts.get("home_url"))),
    ]
    return [(name, address) for name, address in found if address]
