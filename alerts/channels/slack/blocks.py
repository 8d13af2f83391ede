"""Dresses a message in Slack's blocks; slack-sdk's models hold their limits."""

from typing import Any

from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ContextBlock,
    HeaderBlock,
    LinkButtonElement,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from alerts.channels.message import Letter
from alerts.channels.telling import Story, moment_of

HEADER_CHARACTERS = 150
FIELD_CHARACTERS = 300
FIELDS = 10
# Together well below the 13,200 characters at which Slack says msg_blocks_too_long.
SUMMARY_CHARACTERS, DETAIL_CHARACTERS, FOLDED_CHARACTERS, LABEL_CHARACTERS = 1000, 1800, 2500, 1000
FALLBACK_CHARACTERS = 1000
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str, limit: int) -> str:
    """Return a text in which nothing is a link or a call to everybody, cut between characters, never in an entity."""
    parts: list[str] = []
    size = 0
    for letter in text:
        part = ENTITIES.get(letter, letter)
        if size + len(part) > limit - 1:
            return "".join([*parts, "…"])
        parts.append(part)
        size += len(part)
    return "".join(parts)


def _words(text: str) -> MarkdownTextObject:
    # Verbatim: Slack makes no links and no mentions of what the data says.
    return MarkdownTextObject(text=text, verbatim=True)


def _section(name: str, text: str, limit: int) -> list[Block]:
    if not text:
        return []
    title = f"*{name}*\n" if name else ""
    return [SectionBlock(text=_words(title + escaped(text, limit)))]


def _field(name: str, value: str, letter: Letter) -> MarkdownTextObject:
    if name == "Since" and (at := moment_of(letter.payload.get("started_at"))):
        # Slack shows it in the zone of each reader, and the text after the bar where it cannot.
        return _words(f"*{name}*\n<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{value}>")
    return _words(f"*{name}*\n{escaped(value, FIELD_CHARACTERS)}")


def _buttons(story: Story) -> list[Block]:
    elements = [
        LinkButtonElement(
            text=PlainTextObject(text=name), url=address, action_id=f"console-{name.lower().replace(' ', '-')}",
            style="primary" if name == "Acknowledge" else None,
        )
        for name, address in story.links
    ]  # fmt: skip
    return [ActionsBlock(elements=elements)] if elements else []


def _footer(story: Story, letter: Letter) -> list[Block]:
    labels = " ".join(f"{name}={value}" for name, value in story.labels.items())
    number = letter.payload.get("alert_id")
    said = " · ".join(part for part in (f"#{number}" if number else "", labels) if part)
    return [ContextBlock(elements=[_words(escaped(said, LABEL_CHARACTERS))])] if said else []


def message_of(story: Story, letter: Letter) -> dict[str, Any]:
    """Return text, blocks and the coloured part of a message as it stands now."""
    title = f"{story.glyph} {story.severity.upper()}: {story.name}"
    fields = [_field(name, value, letter) for name, value in story.facts[:FIELDS]]
    body: list[Block] = [
        *_section("", story.headline, SUMMARY_CHARACTERS),
        *_section("", story.summary, SUMMARY_CHARACTERS),
        *_section("", story.description, DETAIL_CHARACTERS),
        *_section("Impact", story.impact, DETAIL_CHARACTERS),
        *([SectionBlock(fields=fields)] if fields else []),
        *_section("What to do", story.steps, DETAIL_CHARACTERS),
        *_section("", "\n".join(story.folded), FOLDED_CHARACTERS),
        *_buttons(story),
        *_footer(story, letter),
    ]
    header = HeaderBlock(text=PlainTextObject(text=escaped(title, HEADER_CHARACTERS)))
    attachment = BlockAttachment(blocks=body, color=story.colour)
    return {
        "text": fallback_of(story),
        "blocks": [header.to_dict()],
        "attachments": [attachment.to_dict()],
    }


def fallback_of(story: Story) -> str:
    """Return what a notification on a phone reads."""
    return escaped(f"{story.glyph} {story.title}. {story.headline}", FALLBACK_CHARACTERS)
