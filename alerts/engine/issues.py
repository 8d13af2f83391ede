"""What a message of GitHub about an issue asks of the alert the issue speaks of: a body in, wishes out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

INVESTIGATING = "investigating"
MOST_COMMANDS = 10
LONGEST_TEXT = 500
MOST_ALLOWED = 500


class NotAnIssue(ValueError):
    """The message is not shaped as GitHub shapes its own."""


class Verb(StrEnum):
    """What is asked for."""

    RESOLVE = "resolve"
    REOPEN = "reopen"
    ACKNOWLEDGE = "acknowledge"
    ASSIGN = "assign"
    SILENCE = "silence"
    NOTE = "note"  # Nothing is asked, but the alert's story should say that it happened.


# The state an issue is in belongs to the last of these; the others change nothing that an older event could undo.
SETTLING = frozenset({Verb.RESOLVE, Verb.REOPEN})


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing asked for, and how it was said."""

    verb: Verb
    said: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What one message says about one issue."""

    issue: str  # owner/repo#number
    updated_at: datetime
    login: str
    wishes: tuple[Wish, ...]
    by_comment: bool = False  # Anybody may comment on a public issue; who closes one, GitHub has let.

    @property
    def settles(self) -> bool:
        """Say whether the state of the issue follows from it."""
        return any(wish.verb in SETTLING for wish in self.wishes)


def read(event: str, payload: Mapping[str, Any]) -> Told | str:
    """Return what a message asks for, or why it asks for nothing; raises NotAnIssue where the shape is not GitHub's."""
    if event == "ping":
        return "the ping with which GitHub tries a new webhook"
    if event not in READERS:
        return f"the event {event} is not followed"
    action = _text(payload, "action")
    issue = _map(payload, "issue")
    if "pull_request" in issue:
        return "it is about a pull request"
    wishes, login = READERS[event](action, payload)
    if not wishes:
        return f"{event}.{action} asks for nothing"
    return Told(
        issue=f"{_text(_map(payload, 'repository'), 'full_name')}#{_number(issue)}", login=login, wishes=wishes,
        updated_at=_time(issue), by_comment=event == "issue_comment",
    )  # fmt: skip


def _of_issue(action: str, payload: Mapping[str, Any]) -> tuple[tuple[Wish, ...], str]:
    wish = _wish_of_issue(action, payload)
    return (wish,) if wish else (), _text(_map(payload, "sender"), "login")


def _wish_of_issue(action: str, payload: Mapping[str, Any]) -> Wish | None:
    if action == "closed":
        state_reason = payload["issue"].get("state_reason")
        how = f" as {str(state_reason)[:40].replace('_', ' ')}" if state_reason else ""
        return Wish(Verb.RESOLVE, f"the issue was closed{how} at GitHub")
    if action == "reopened":
        return Wish(Verb.REOPEN, "the issue was reopened at GitHub")
    if action == "labeled" and _text(_map(payload, "label"), "name").strip().lower() == INVESTIGATING:
        return Wish(Verb.ACKNOWLEDGE, f"the issue was labelled {INVESTIGATING} at GitHub")
    if action == "transferred":
        issue = payload.get("changes", {}).get("new_issue", {})
        return Wish(Verb.NOTE, f"The issue was moved to {_clean(issue.get('html_url', 'another repository'))}; "
                               "what happens to it there is not followed.")  # fmt: skip
    if action == "deleted":
        return Wish(Verb.NOTE, "The issue was deleted at GitHub; the alert goes on without it.")
    return None


def _of_comment(action: str, payload: Mapping[str, Any]) -> tuple[tuple[Wish, ...], str]:
    comment = _map(payload, "comment")
    login = _text(_map(comment, "user"), "login")
    body = comment.get("body")
    if action != "created" or not isinstance(body, str):
        return (), login
    return tuple(commands(body))[:MOST_COMMANDS], login


def commands(body: str) -> Iterator[Wish]:
    """Yield the commands of a comment: lines that begin with one, outside of quotes and code."""
    fenced = False
    for line in body.splitlines():
        text = line.strip()
        if text.startswith(("```", "~~~")):
            fenced = not fenced
        word, _, rest = text.partition(" ")
        verb = COMMANDS.get(word.lower())
        if verb is not None and not fenced:
            yield Wish(verb, _clean(f"{word.lower()} {rest.strip()}".strip() + " in a comment"), _clean(rest.strip()))


COMMANDS: Mapping[str, Verb] = {
    "/resolve": Verb.RESOLVE,
    "/ack": Verb.ACKNOWLEDGE,
    "/acknowledge": Verb.ACKNOWLEDGE,
    "/assign": Verb.ASSIGN,
    "/silence": Verb.SILENCE,
}
READERS = {"issues": _of_issue, "issue_comment": _of_comment}
# What is worth keeping the body of; of all else that GitHub may be set to send, a row says that it came.
FOLLOWED = frozenset({*READERS, "ping"})


def _map(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload.get(name)
    if not isinstance(value, Mapping):
        raise NotAnIssue(f"the message has no {name}")
    return value


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise NotAnIssue(f"the message has no {name}")
    return _clean(value)


def _clean(text: object) -> str:
    # The database keeps no NUL.
    return str(text).replace("\x00", "")[:LONGEST_TEXT]


def _number(issue: Mapping[str, Any]) -> int:
    number = issue.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise NotAnIssue("the issue has no number")
    return number


def _time(issue: Mapping[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(_text(issue, "updated_at"))
    except ValueError as error:
        raise NotAnIssue(f"updated_at of the issue is no time: {error}") from None
    if at.tzinfo is None:
        raise NotAnIssue("updated_at of the issue has no time zone")
    return at


def allowed_problem(entries: object) -> str:
    """Return what is wrong with a list of allowed users, or an empty text."""
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        return 'This is a list of texts: "octocat" or "octocat=alice@example.org".'
    if len(entries) > MOST_ALLOWED:
        return f"There are more than {MOST_ALLOWED} entries."
    return next(filter(None, map(_entry_problem, entries)), "")


def _entry_problem(entry: str) -> str:
    login, equals, email = entry.partition("=")
    name = login.strip().removesuffix("[bot]")
    if not 0 < len(name) <= 100 or not all(char.isalnum() or char in "-_" for char in name):
        return f"{entry[:60]!r} does not begin with a login of GitHub, written without the @."
    return f"{entry[:60]!r} names no e-mail address after the =." if equals and "@" not in email else ""
