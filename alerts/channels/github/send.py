"""Keeps the issue of an alert: opens it once, comments, reopens and closes it."""

from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import urlencode

from alerts.channels.github import issue
from alerts.channels.github.api import Api, No
from alerts.channels.message import ChannelError, Known, Letter, Sent
from alerts.channels.telling import moment_of, story_of, worsened_from

TOTAL_SECONDS = 12.0
PAGES = 5
PAGE_ROWS = 100
# What GitHub's clock and ours may differ by.
SKEW = timedelta(minutes=10)


def send(letter: Letter) -> Sent:
    """Tell one message; raise ChannelError unless GitHub takes it."""
    if not letter.secret:
        raise ChannelError("no token is set: an admin enters one", permanent=True)
    keeper = _Keeper(letter)
    number = keeper.number()
    if number is None:
        return keeper.begin()
    try:
        return keeper.go_on(number)
    except No as no:
        # Deleted, or moved to another repository: there is nothing left to go on with.
        if letter.follows and no.status in (301, 410):
            return Sent(no.status, "the issue is gone, so there is none to close or to comment on")
        if letter.follows or no.status not in (301, 404, 410):
            raise
        return keeper.open()


class _Keeper:
    """One try of a message about one issue."""

    def __init__(self, letter: Letter) -> None:
        self._letter, self._story = letter, story_of(letter)
        self._api = Api(letter.config, letter.secret, at=letter.at, total_seconds=TOTAL_SECONDS)
        self._repo = self._api.repo
        self._fingerprint = str(letter.payload.get("fingerprint") or "")
        self._row: Mapping[str, Any] | None = None

    def number(self) -> int | None:
        """Return the issue of the alert, by what is stored, else by what is listed."""
        prefix = f"{self._repo}#".lower()
        for known in reversed(self._letter.known):
            if known.external_id.lower().startswith(prefix) and known.external_id[len(prefix) :].isdigit():
                return int(known.external_id[len(prefix) :])
        return self._found() if self._letter.maybe_there and self._fingerprint else None

    def _found(self) -> int | None:
        """Look for an issue whose answer was lost, in the list of issues: the search of GitHub lags behind."""
        began = moment_of(self._letter.facts.get("first_owed_at")) or self._letter.at
        since = (began - SKEW).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        mark = issue.mark_of(self._fingerprint)
        for page in range(1, PAGES + 1):
            asked = {"labels": issue.ALWAYS, "state": "all", "since": since, "sort": "created", "direction": "desc",
                     "per_page": PAGE_ROWS, "page": page}  # fmt: skip
            rows = self._api.call("GET", f"?{urlencode(asked)}")
            mine = [row for row in rows if str(row.get("body") or "").rstrip().endswith(mark)]
            if mine:
                # The first one is the alert's, should there ever be two.
                self._row = mine[-1]
                return int(self._row["number"])
            if len(rows) < PAGE_ROWS:
                break
        return None

    def _sent(self, row: Mapping[str, Any], *, state: str = "") -> Sent:
        """Return the yes; `state` is what this message, and nobody else, put the issue into."""
        known = self._known(int(row["number"]), str(row.get("html_url") or ""))
        return Sent(
            200, known.external_id, external_id=known.external_id, url=known.url, state=state,
            state_at=moment_of(row.get("updated_at")) if state else None,
        )  # fmt: skip

    def _known(self, number: int, page: str = "") -> Known:
        return Known(f"{self._repo}#{number}", page)

    def begin(self) -> Sent:
        """Open the issue; what follows on one that is not there is told to nobody."""
        if self._letter.follows:
            return Sent(200, "no issue of this alert was found, so there is none to close or to comment on")
        return self.open()

    def open(self) -> Sent:
        """Open a new issue; one that may not be assigned is opened without assignees."""
        wanted = {
            "title": issue.title_of(self._story), "body": issue.body_of(self._letter),
            "labels": issue.labels_of(self._letter, self._story), "assignees": issue.assignees_of(self._letter),
        }  # fmt: skip
        try:
            return self._sent(self._api.call("POST", "", wanted), state="open")
        except No as no:
            if no.status != 422 or not wanted.pop("assignees"):
                raise
        return self._sent(self._api.call("POST", "", wanted), state="open")

    def go_on(self, number: int) -> Sent:
        """Say what changed, and open or close the issue with the alert."""
        try:
            if self._row is not None and self._begun_by_this():
                return self._sent(self._row)
            if self._letter.attempt == 1 or not self._said(number):
                self._api.call("POST", f"/{number}/comments", {"body": issue.comment_of(self._letter)})
            self._relabel(number)
            standing = self._standing()
            return self._sent(self._api.call("PATCH", f"/{number}", standing), state=standing.get("state", ""))
        except ChannelError as error:
            error.made = self._known(number) if not self._letter.known else None
            raise

    def _begun_by_this(self) -> bool:
        """Say whether an earlier try of this very message opened the issue, which then needs no comment."""
        return self._letter.kind == "fire" and self._letter.attempt > 1 and not self._letter.facts.get("repeat_no")

    def _standing(self) -> dict[str, Any]:
        title = issue.title_of(self._story)
        if self._letter.over:
            return {"state": "closed", "state_reason": "completed"}
        if self._letter.kind == "fire":
            return {"state": "open", "state_reason": "reopened", "title": title}
        return {"title": title}

    def _relabel(self, number: int) -> None:
        """Put the label of the new severity in the place of the old one; labels people gave stay."""
        was = worsened_from(self._letter)
        if not was:
            return
        self._api.call("POST", f"/{number}/labels", {"labels": [issue.severity_label_of(self._story.severity)]})
        try:
            self._api.call("DELETE", f"/{number}/labels/{issue.severity_label_of(was)}")
        except No as no:
            if no.status != 404:
                raise

    def _said(self, number: int) -> bool:
        began = moment_of(self._letter.facts.get("first_owed_at")) or self._letter.at
        since = (began - SKEW).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = self._api.call("GET", f"/{number}/comments?{urlencode({'since': since, 'per_page': PAGE_ROWS})}")
        mark = issue.comment_mark_of(self._letter.key)
        return any(str(row.get("body") or "").rstrip().endswith(mark) for row in rows)
