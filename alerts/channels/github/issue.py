"""Writes the issue of an alert and its comments."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from alerts.channels.github.form import ASSIGNEES, LABEL_CHARACTERS
from alerts.channels.message import Letter
from alerts.channels.telling import Story, line, moment, story_of

TITLE_CHARACTERS = 250
# What Markdown and HTML would act upon; a mention is broken by a space of no width.
ACTIVE = re.compile(r"[\\`*_\[\]()#|~!<>&@]")  # noqa: TID251
ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@\u200b"}
ALWAYS = "automated-alert"
COMMANDS = (
    ("/ack", "acknowledge the alert: its escalation stops"),
    ("/resolve", "resolve the alert, which closes this issue"),
    ("/silence 2h", "tell nobody of this alert for two hours"),
)
# Where the console itself answers for a component that the channel names no documentation for.
ROOMS = {"agent_forge": "forge/", "security": "security/", "performance": "explore/metrics/", "general": "health/"}


def quiet(text: str) -> str:
    """Return text that GitHub shows as it is: no mention, no link, no HTML, no heading."""
    return ACTIVE.sub(lambda found: ENTITIES.get(found[0], f"\\{found[0]}"), text)


def mark_of(fingerprint: str) -> str:
    """Return the hidden line by which the issue of an alert is known."""
    return f"<!-- aivillage-console:{fingerprint} -->"


def comment_mark_of(key: str) -> str:
    """Return the hidden line by which the comment of a message is known."""
    return f"<!-- aivillage-console:message:{key} -->"


def component_of(letter: Letter) -> str:
    """Return the component an alert speaks of, as GitHub labels name it."""
    labels = letter.payload.get("labels")
    found = line(labels.get("component"), 40) if isinstance(labels, dict) else ""
    return re.sub(r"[^a-z0-9_.-]+", "-", found.lower()).strip("-")


def title_of(story: Story) -> str:
    """Return the title; a mention in a title calls nobody, but is broken all the same."""
    return line(story.title.replace("@", "@\u200b"), TITLE_CHARACTERS)


def severity_label_of(severity: str) -> str:
    """Return the label of a severity."""
    return f"severity-{re.sub(r'[^a-z]+', '-', severity.lower()).strip('-') or 'unknown'}"


def labels_of(letter: Letter, story: Story) -> list[str]:
    """Return the labels of an issue: what happened, where, by whom, and those of the channel."""
    component = component_of(letter)
    found = [severity_label_of(story.severity), f"component-{component}" if component else "", ALWAYS, "monitoring"]
    wanted = [*found, *(letter.config.get("labels") or [])]
    return list(dict.fromkeys(label[:LABEL_CHARACTERS] for label in wanted if label))


def assignees_of(letter: Letter) -> list[str]:
    """Return whose issue it is: those of the component, else those of the channel."""
    by_component: Mapping[str, Sequence[str]] = letter.config.get("assignees_by_component") or {}
    named = {key.replace("-", "_"): list(names) for key, names in by_component.items()}
    mine = named.get(component_of(letter).replace("-", "_"))
    return (mine if mine is not None else list(letter.config.get("assignees") or []))[:ASSIGNEES]


def body_of(letter: Letter) -> str:
    """Return the body of an issue: the facts, what to do, where to look, what may be said, and the hidden mark."""
    story = story_of(letter)
    parts = [f"**{quiet(story.headline)}**", _table(letter, story)]
    parts += [f"## {name}\n\n{quiet(text)}" for name, text in (
        ("Summary", story.summary), ("Description", story.description), ("Impact", story.impact),
        ("What to do", story.steps),
    ) if text]  # fmt: skip
    parts += [f"## Alerts\n\n{_list(quiet(one) for one in story.folded)}"] if story.folded else []
    if story.labels:
        parts.append(f"## Labels\n\n```json\n{_json(dict(story.labels))}\n```")
    parts.append(f"## Where to look\n\n{_list(f'[{name}]({url})' for name, url in _places(letter, story))}")
    if letter.payload.get("fingerprint"):
        parts.append(f"## Commands\n\n{_list(f'`{name}` {what}' for name, what in COMMANDS)}")
        parts.append(mark_of(str(letter.payload["fingerprint"])))
    return "\n\n".join(parts)


def _table(letter: Letter, story: Story) -> str:
    rows = [("Alert", story.name), *story.facts]
    rows += [("Time", moment(letter.payload.get("timestamp")))]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {quiet(line(value))} |" for name, value in rows if value)])


def _list(lines: Any) -> str:
    return "\n".join(f"- {one}" for one in lines)


def _json(labels: Mapping[str, str]) -> str:
    written = orjson.dumps(labels, option=orjson.OPT_INDENT_2).decode()
    # Within a fence nothing is escaped by Markdown, so JSON's own escapes keep the fence shut and the marks out.
    return written.translate({ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&@`"})


def _places(letter: Letter, story: Story) -> list[tuple[str, str]]:
    found = [(name, url) for name, url in story.links if name != "Acknowledge"]
    alert = next((url for name, url in story.links if name == "Acknowledge"), "")
    component = component_of(letter).replace("-", "_")
    docs = {key.replace("-", "_"): url for key, url in (letter.config.get("docs") or {}).items()}
    said = docs.get(component) or docs.get("general")
    base = str(letter.facts.get("home_url") or "")
    room = f"{base}{ROOMS.get(component, ROOMS['general'])}" if urlsplit(base).hostname else ""
    named = [("The alert", alert), *found, (f"Documentation of {component or 'the console'}", said), ("Console", room)]
    return [(name, _address(url)) for name, url in named if url]


def _address(url: str) -> str:
    return url.replace("(", "%28").replace(")", "%29")


def comment_of(letter: Letter) -> str:
    """Return what changed, as a comment."""
    story = story_of(letter)
    facts = _table(letter, story)
    link = next((f"[Open the alert]({_address(url)})" for _, url in story.links), "")
    parts = [f"{story.glyph} **{quiet(story.headline)}**", facts, link, comment_mark_of(letter.key)]
    return "\n\n".join(part for part in parts if part)
