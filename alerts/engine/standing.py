"""What a list of issues says of one of them, and whether that is news: rows in, judgements out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.engine.issues import LONGEST_TEXT, Told, Verb, Wish

OPEN, CLOSED = "open", "closed"
HOW_FOUND = "found by asking, for no webhook had told of it"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one issue stands, by GitHub's clock."""

    number: int
    state: str
    updated_at: datetime
    came_at: datetime  # When it came to stand so, or last changed in any way where the row does not say.
    how: str = ""  # Closed as what.
    login: str = ""  # Who closed it, where GitHub says.


def standing_of(row: Mapping[str, Any]) -> Standing | None:
    """Return how an issue stands; None for a pull request and for what is not shaped as an issue."""
    number, state, updated_at = row.get("number"), row.get("state"), _time(row.get("updated_at"))
    if "pull_request" in row or state not in (OPEN, CLOSED) or updated_at is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        return None
    by = row.get("closed_by")
    over = state == CLOSED
    return Standing(
        number, str(state), updated_at, (_time(row.get("closed_at")) if over else None) or updated_at,
        how=_text(row.get("state_reason")).replace("_", " ")[:40] if over else "",
        login=_text(by.get("login")) if over and isinstance(by, Mapping) else "",
    )  # fmt: skip


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None


def _text(text: object) -> str:
    # The database keeps no NUL.
    return text.replace("\x00", "")[:LONGEST_TEXT] if isinstance(text, str) else ""


def is_news(standing: Standing, *, state: str, settled_at: datetime | None) -> bool:
    """Say whether an issue stands otherwise than was last known; an issue nobody told of is as it was opened."""
    if settled_at is not None and standing.updated_at < settled_at:
        return False
    return standing.state != (state or OPEN)


def told_by(standing: Standing, issue: str) -> Told:
    """Return what a webhook would have told, had it come."""
    if standing.state == CLOSED:
        how = f" as {standing.how}" if standing.how else ""
        wish = Wish(Verb.RESOLVE, f"the issue was closed{how} at GitHub; {HOW_FOUND}")
    else:
        wish = Wish(Verb.REOPEN, f"the issue was reopened at GitHub; {HOW_FOUND}")
    return Told(issue=issue, updated_at=standing.updated_at, login=standing.login, wishes=(wish,))
