"""Keeps the issue of an alert: opens it once, comments, reopens and closes it."""

from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from aivillage_console.lib import http
from alerts.channels.calling import Caller, excerpt_of, retry_after_seconds
from alerts.channels.github import issue
from alerts.channels.github.form import API_URL
from alerts.channels.github.pacing import paced
from alerts.channels.message import ChannelError, Known, Letter, Sent
from alerts.channels.telling import moment_of, story_of, worsened_from
from alerts.engine.retry import Verdict, verdict_of

TOTAL_SECONDS = 12.0
PAGES = 5
PAGE_ROWS = 100
PAGE_BYTES = 8_000_000
# What GitHub's clock and ours may differ by.
SKEW = timedelta(minutes=10)
LIMITED_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 3600.0


class _No(ChannelError):
    """GitHub said no; `status` says how."""


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
    except _No as no:
        # Deleted, or moved to another repository: there is nothing left to go on with.
        if letter.over and no.status in (301, 410):
            return Sent(no.status, "the issue is gone, so there is none to close")
        if letter.over or no.status not in (301, 404, 410):
            raise
        return keeper.open()


class _Keeper:
    """One try of a message about one issue."""

    def __init__(self, letter: Letter) -> None:
        self._letter, self._story = letter, story_of(letter)
        self._repo = str(letter.config["repo"])
        api = str(letter.config.get("api_url") or API_URL).rstrip("/")
        self._issues = f"{api}/repos/{self._repo}/issues"
        self._caller = Caller(TOTAL_SECONDS, tls_1_2=bool(letter.config.get("tls_1_2")), headers={
            "authorization": f"Bearer {letter.secret}", "accept": "application/vnd.github+json",
            "x-github-api-version": "2022-11-28", "user-agent": "aivillage-console",
        })  # fmt: skip
        self._fingerprint = str(letter.payload.get("fingerprint") or "")
        self._row: Mapping[str, Any] | None = None

    def _call(self, method: str, path: str, wanted: Mapping[str, Any] | None = None) -> Any:
        body = orjson.dumps(wanted) if wanted is not None else b""
        headers = {"content-type": "application/json"} if wanted is not None else {}
        with paced(self._caller.left_seconds()):
            reply = self._caller.call(
                method, f"{self._issues}{path}", body=body, headers=headers, body_bytes=PAGE_BYTES
            )  # fmt: skip
        if verdict_of(reply.status) is not Verdict.DELIVERED:
            raise refusal(reply, self._letter)
        try:
            return orjson.loads(reply.body or b"null")
        except orjson.JSONDecodeError as error:
            raise ChannelError("GitHub answered no JSON", permanent=False, maybe_delivered=method != "GET") from error

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
            rows = self._call("GET", f"?{urlencode(asked)}")
            mine = [row for row in rows if str(row.get("body") or "").rstrip().endswith(mark)]
            if mine:
                # The first one is the alert's, should there ever be two.
                self._row = mine[-1]
                return int(self._row["number"])
            if len(rows) < PAGE_ROWS:
                break
        return None

    def _sent(self, row: Mapping[str, Any]) -> Sent:
        known = self._known(int(row["number"]), str(row.get("html_url") or ""))
        return Sent(200, known.external_id, external_id=known.external_id, url=known.url)

    def _known(self, number: int, page: str = "") -> Known:
        return Known(f"{self._repo}#{number}", page)

    def begin(self) -> Sent:
        """Open the issue; the end of an alert that has none is told to nobody."""
        if self._letter.over:
            return Sent(200, "no issue of this alert was found, so there is none to close")
        return self.open()

    def open(self) -> Sent:
        """Open a new issue; one that may not be assigned is opened without assignees."""
        wanted = {
            "title": issue.title_of(self._story), "body": issue.body_of(self._letter),
            "labels": issue.labels_of(self._letter, self._story), "assignees": issue.assignees_of(self._letter),
        }  # fmt: skip
        try:
            return self._sent(self._call("POST", "", wanted))
        except _No as no:
            if no.status != 422 or not wanted.pop("assignees"):
                raise
        return self._sent(self._call("POST", "", wanted))

    def go_on(self, number: int) -> Sent:
        """Say what changed, and open or close the issue with the alert."""
        try:
            if self._row is not None and self._begun_by_this():
                return self._sent(self._row)
            if self._letter.attempt == 1 or not self._said(number):
                self._call("POST", f"/{number}/comments", {"body": issue.comment_of(self._letter)})
            self._relabel(number)
            return self._sent(self._call("PATCH", f"/{number}", self._standing()))
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
        self._call("POST", f"/{number}/labels", {"labels": [issue.severity_label_of(self._story.severity)]})
        try:
            self._call("DELETE", f"/{number}/labels/{issue.severity_label_of(was)}")
        except _No as no:
            if no.status != 404:
                raise

    def _said(self, number: int) -> bool:
        began = moment_of(self._letter.facts.get("first_owed_at")) or self._letter.at
        since = (began - SKEW).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = self._call("GET", f"/{number}/comments?{urlencode({'since': since, 'per_page': PAGE_ROWS})}")
        mark = issue.comment_mark_of(self._letter.key)
        return any(str(row.get("body") or "").rstrip().endswith(mark) for row in rows)


def refusal(reply: http.Reply, letter: Letter) -> ChannelError:
    """Return what a status means: GitHub says both "you may not" and "not so fast" with 403."""
    said = excerpt_of(reply)
    pause = _pause(reply, said, letter)
    verdict = verdict_of(reply.status)
    return _No(
        f"GitHub answered {reply.status}: {said[:300]}",
        permanent=pause is None and verdict is not Verdict.RETRY, status=reply.status,
        # Issues are switched off for the repository; of one issue that is gone the caller opens another.
        gone=reply.status == 410, limited=pause is not None, retry_after_seconds=pause,
    )  # fmt: skip


def _pause(reply: http.Reply, said: str, letter: Letter) -> float | None:
    """Return how long GitHub wants to be left alone; None where the refusal has another reason."""
    if reply.status not in (403, 429):
        return None
    asked = retry_after_seconds(reply.headers.get("retry-after", ""), letter.at)
    if asked is not None:
        return min(asked, LONGEST_PAUSE_SECONDS)
    reset = reply.headers.get("x-ratelimit-reset", "")
    if reply.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return min(max(1.0, float(reset) - letter.at.timestamp()), LONGEST_PAUSE_SECONDS)
    limited = reply.status == 429 or "rate limit" in said.lower() or "abuse" in said.lower()
    return LIMITED_SECONDS if limited else None
