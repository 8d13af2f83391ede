"""Asks GitHub which issues of a repository changed, oldest change first; what did not change costs no quota."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from alerts.channels.github.api import Api
from alerts.channels.github.issue import ALWAYS
from alerts.channels.message import ChannelError
from alerts.channels.telling import moment_of

PAGES = 5
PAGE_ROWS = 100
TOTAL_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where the changes are known: the time asked from, and the ETag of what was answered."""

    since: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some changed issues, as GitHub shows them; None where nothing changed under the ETag."""

    rows: Sequence[Mapping[str, Any]] | None
    place: Place  # Where to ask from next.
    last: bool  # There is nothing after it as yet.


def changed_issues(config: Mapping[str, Any], secret: str, place: Place, *, at: datetime) -> Iterator[Page]:
    """Yield the pages of what changed, a bounded number of them; raise ChannelError where GitHub does not answer."""
    if not secret:
        raise ChannelError("no token is set: an admin enters one", permanent=True)
    api = Api(config, secret, at=at, total_seconds=TOTAL_SECONDS)
    for _ in range(PAGES):
        page = _page(api, place)
        yield page
        if page.last:
            return
        place = page.place


def _page(api: Api, place: Place) -> Page:
    since = place.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = {"labels": ALWAYS, "state": "all", "since": since, "sort": "updated", "direction": "asc",
             "per_page": PAGE_ROWS}  # fmt: skip
    rows, etag = api.changed(f"?{urlencode(asked)}", place.etag)
    if rows is None:
        return Page(None, place, last=True)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ChannelError("GitHub answered no list of issues", permanent=False)
    if len(rows) < PAGE_ROWS:
        return Page(rows, Place(place.since, etag), last=True)
    return Page(rows, Place(_after(rows, place.since)), last=False)


def _after(rows: Sequence[Mapping[str, Any]], since: datetime) -> datetime:
    """Return where the next page begins.

    It is asked for by time and not by number: an issue that changes meanwhile moves to the end, and every other one
    a place up, so the first of page two would be on neither.
    """
    latest = moment_of(rows[-1].get("updated_at")) or since
    return max(latest - timedelta(seconds=1), since.replace(microsecond=0) + timedelta(seconds=1))
