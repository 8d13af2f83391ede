"""Writes the mail of a message."""

from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.template.loader import render_to_string

from alerts.channels.email.form import RECIPIENTS, is_mailbox
from alerts.channels.message import Letter
from alerts.channels.telling import Story, line, story_of

SUBJECT_CHARACTERS = 180


def host_name() -> str:
    """Return the host that Message-IDs and the list are named after."""
    host = urlsplit(settings.CONFIG.public_url).hostname or ""
    named = host and not host.replace(".", "").isdigit() and ":" not in host
    return host if named else "aivillage-console.invalid"


def message_id(letter: Letter) -> str:
    """Return the Message-ID of a message: the same for every try, so that mail programs show one."""
    return f"<{letter.key}@{host_name()}>"


def recipients_of(letter: Letter) -> list[str]:
    """Return who gets the mail: those of the step, else the channel's; the end goes to all who were told."""
    usual = list(letter.config.get("to_emails") or [])
    named = list(letter.payload.get("recipients") or [])
    told = letter.facts.get("told") or []
    wanted = named or ([each for step in told for each in (step or usual)] if told else usual)
    found: dict[str, None] = {}
    for each in wanted:
        if is_mailbox(each):
            found.setdefault(parseaddr(each)[1])
    return list(found)[:RECIPIENTS]


def mail_of(letter: Letter, recipients: Sequence[str]) -> EmailMessage:
    """Return the mail, ready to be sent."""
    story = story_of(letter)
    # Wide enough that no Message-ID is folded: a folded one is no longer the same.
    mail = EmailMessage(policy=SMTP.clone(max_line_length=400))
    followed = bool(letter.known)
    mail["Subject"] = line(("Re: " if followed else "") + story.title, SUBJECT_CHARACTERS)
    mail["From"] = formataddr(parseaddr(str(letter.config.get("from") or letter.config.get("username"))))
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(letter.at)
    mail["Message-ID"] = message_id(letter)
    if followed:
        root = letter.known[0].external_id
        mail["In-Reply-To"], mail["References"] = root, root
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["List-Id"] = f"AIVillage Console alerts <alerts.{host_name()}>"
    mail.set_content(text_of(story))
    html = render_to_string("alerts/mail.html", {"story": story, "heading": f"{story.glyph} {story.title}"})
    mail.add_alternative(html, subtype="html")
    return mail


def text_of(story: Story) -> str:
    """Return the text part: the facts first, every link spelled out."""
    parts = [f"{story.glyph} {story.title}", story.headline]
    parts += [text for text in (story.summary, story.description) if text]
    parts += [f"Impact: {story.impact}"] if story.impact else []
    parts += ["\n".join(f"{name}: {value}" for name, value in story.facts)] if story.facts else []
    parts += [f"What to do: {story.steps}"] if story.steps else []
    parts += ["\n".join(story.folded)] if story.folded else []
    parts += ["\n".join(f"{name}: {address}" for name, address in story.links)] if story.links else []
    parts += ["\n".join(f"{name} = {value}" for name, value in story.labels.items())] if story.labels else []
    return "\n\n".join(parts) + "\n"
