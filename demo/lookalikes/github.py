"""GitHub's issues as an integration meets them: REST with quotas and conditional requests, and signed webhooks out."""

import hashlib
import hmac
import http.client
import itertools
import json
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from demo.lookalikes.web import Reply, Request, WebLookAlike, json_reply

TOKEN = "github_pat_lookalike"  # noqa: S105 (opens nothing)
ROUTE = re.compile(  # noqa: TID251
    r"^/repos/(?P<repo>[^/]+/[^/]+)/issues(?:/(?P<number>\d+))?(?:/(?P<part>comments|labels)(?:/(?P<name>[^/]+))?)?/?$"
)
BODY_CHARACTERS = 65_536
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Comment:
    """One comment of an issue."""

    id: int
    body: str
    user: str
    created_at: str

    def shown(self) -> dict[str, Any]:
        """Return it as the API does."""
        return {"id": self.id, "body": self.body, "user": {"login": self.user, "type": "User"},
                "created_at": self.created_at, "updated_at": self.created_at,
                "author_association": "MEMBER"}  # fmt: skip


@dataclass
class Issue:
    """One issue."""

    repo: str
    number: int
    title: str
    body: str
    labels: list[str]
    assignees: list[str]
    created_at: str
    updated_at: str
    page: str
    opened_at: float = 0.0
    state: str = "open"
    state_reason: str | None = None
    closed_at: str | None = None
    closed_by: str = ""
    comments: list[Comment] = field(default_factory=list)

    @property
    def html_url(self) -> str:
        """Return the page of the issue."""
        return f"{self.page}/{self.repo}/issues/{self.number}"

    def shown(self) -> dict[str, Any]:
        """Return it as the API does."""
        return {
            "number": self.number, "title": self.title, "body": self.body, "state": self.state,
            "state_reason": self.state_reason, "html_url": self.html_url,
            "url": f"{self.page}/repos/{self.repo}/issues/{self.number}",
            "labels": [{"name": name} for name in self.labels],
            "assignees": [{"login": name} for name in self.assignees], "comments": len(self.comments),
            "user": {"login": "console-bot", "type": "Bot"}, "created_at": self.created_at,
            "updated_at": self.updated_at, "closed_at": self.closed_at,
            "closed_by": {"login": self.closed_by} if self.closed_by else None,
        }  # fmt: skip

    def stand(self, state: str, reason: str | None, by: str, at: str) -> None:
        """Put it into a state; a change remembers when and by whom it was closed, and forgets it again."""
        if state != self.state:
            self.closed_at, self.closed_by = (at, by) if state == "closed" else (None, "")
        self.state, self.state_reason, self.updated_at = state, reason, at


class GitHubServer(WebLookAlike):
    """A few repositories, one token, and the limits an account has."""

    def __init__(
        self, *, repos: Iterable[str] = ("acme/app",), token: str = TOKEN, per_minute: int = 80, per_hour: int = 500,
        primary_per_hour: int = 5000, port: int = 0,
    ) -> None:  # fmt: skip
        """Prepare; `per_minute` and `per_hour` count what creates content, `primary_per_hour` every request."""
        super().__init__(port=port)
        self.token, self.repos = token, set(repos)
        self.issues: dict[tuple[str, int], Issue] = {}
        self.issues_disabled: set[str] = set()
        self.read_only: set[str] = set()
        self.unknown_assignees: set[str] = set()
        self.per_minute, self.per_hour, self.primary_per_hour = per_minute, per_hour, primary_per_hour
        self.created: deque[float] = deque()
        self._requests: deque[float] = deque()
        self._banned_until = 0.0
        self._ids = itertools.count(1)
        self._hook: tuple[str, str] | None = None

    def issue(self, number: int = 1, repo: str = "") -> Issue:
        """Return an issue by its number, of the first repository unless another is named."""
        return self.issues[(repo or min(self.repos), number)]

    def answer(self, request: Request) -> Reply:
        """Answer as GitHub does."""
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return json_reply(401, {"message": "Bad credentials"})
        if not request.headers.get("user-agent"):
            return json_reply(403, {"message": "Request forbidden by administrative rules: no User-Agent."})
        if limited := self._limited(request):
            return limited
        route = ROUTE.match(request.path)
        if route is None or route["repo"] not in self.repos:
            return json_reply(404, {"message": "Not Found"})
        if request.method != "GET" and route["repo"] in self.read_only:
            return json_reply(403, {"message": "Resource not accessible by personal access token"})
        return self._routed(request, route["repo"], int(route["number"] or 0), route["part"] or "")

    def _routed(self, request: Request, repo: str, number: int, part: str) -> Reply:
        if repo in self.issues_disabled:
            return json_reply(410, {"message": "Issues are disabled for this repo"})
        act: dict[tuple[str, bool, str], Callable[[Request, str, int], Reply]] = {
            ("POST", False, ""): self._create, ("GET", False, ""): self._list, ("GET", True, ""): self._get,
            ("PATCH", True, ""): self._patch, ("POST", True, "comments"): self._comment,
            ("GET", True, "comments"): self._comments, ("POST", True, "labels"): self._label,
            ("DELETE", True, "labels"): self._unlabel,
        }  # fmt: skip
        found = act.get((request.method, number > 0, part))
        if found is None or (number and (repo, number) not in self.issues):
            return json_reply(404, {"message": "Not Found"})
        try:
            return found(request, repo, number)
        except (ValueError, TypeError, AttributeError):
            return json_reply(400, {"message": "Problems parsing JSON"})

    def _limited(self, request: Request) -> Reply | None:
        now = request.at
        while self._requests and self._requests[0] <= now - 3600:
            self._requests.popleft()
        if len(self._requests) >= self.primary_per_hour:
            self.violations += 1
            reset = str(int(self._requests[0] + 3600) + 1)
            return json_reply(403, {"message": "API rate limit exceeded"}, x_ratelimit_remaining="0",
                              x_ratelimit_reset=reset)  # fmt: skip
        self._requests.append(now)
        if request.method != "POST" or request.path.endswith("/labels"):
            return None
        return self._content(now)

    def _content(self, now: float) -> Reply | None:
        while self.created and self.created[0] <= now - 3600:
            self.created.popleft()
        minute = [at for at in self.created if at > now - 60]
        waits = [self._banned_until - now]
        waits += [minute[0] + 60 - now] if len(minute) >= self.per_minute else []
        waits += [self.created[0] + 3600 - now] if len(self.created) >= self.per_hour else []
        if max(waits) > 0:
            self.violations += 1
            return json_reply(403, {"message": SECONDARY}, retry_after=str(int(max(waits)) + 1))
        self.created.append(now)
        return None

    def limit_for(self, seconds: float) -> None:
        """Refuse what creates content for a while, as after too much of it."""
        self._banned_until = time.time() + seconds

    def _create(self, request: Request, repo: str, _number: int) -> Reply:
        wanted = request.json()
        problem = self._problem(wanted)
        if problem:
            return json_reply(422, {"message": "Validation Failed", "errors": [problem]})
        number = 1 + max((each for name, each in self.issues if name == repo), default=0)
        at = _stamp(request.at)
        issue = Issue(
            repo, number, wanted["title"], wanted.get("body") or "", _names(wanted.get("labels")),
            _names(wanted.get("assignees")), at, at, self.url, request.at,
        )  # fmt: skip
        self.issues[(repo, number)] = issue
        return json_reply(201, issue.shown())

    def _problem(self, wanted: Mapping[str, Any]) -> dict[str, str] | None:
        title, body = wanted.get("title", "."), wanted.get("body") or ""
        if not isinstance(title, str) or not title.strip() or len(title) > 256:
            return {"resource": "Issue", "field": "title", "code": "invalid"}
        if len(body) > BODY_CHARACTERS:
            return {"resource": "Issue", "field": "body", "code": "too_long"}
        if any(len(name) > 50 for name in _names(wanted.get("labels"))):
            return {"resource": "Label", "field": "name", "code": "invalid"}
        if self.unknown_assignees & set(_names(wanted.get("assignees"))):
            return {"resource": "Issue", "field": "assignees", "code": "invalid"}
        return None

    def _list(self, request: Request, repo: str, _number: int) -> Reply:
        query = request.query
        wanted = {name for name in query.get("labels", "").split(",") if name}
        state, since = query.get("state", "open"), query.get("since", "")
        found = [
            issue
            for issue in self.issues.values()
            if issue.repo == repo and wanted <= set(issue.labels) and state in ("all", issue.state)
            and issue.updated_at >= since
        ]  # fmt: skip
        by_update = query.get("sort", "created") == "updated"
        found.sort(
            key=lambda issue: (issue.updated_at if by_update else "", issue.number),
            reverse=query.get("direction", "desc") == "desc",
        )  # fmt: skip
        return self._page(request, [issue.shown() for issue in found])

    def _page(self, request: Request, rows: list[dict[str, Any]]) -> Reply:
        size = max(1, min(100, int(request.query.get("per_page", "30"))))
        page = max(1, int(request.query.get("page", "1")))
        more = {"Link": f'<{self.url}{request.path}?page={page + 1}>; rel="next"'} if len(rows) > page * size else {}
        return self._conditional(request, rows[(page - 1) * size : page * size], more)

    def _conditional(self, request: Request, found: object, headers: Mapping[str, str] | None = None) -> Reply:
        etag = f'"{hashlib.sha256(json.dumps(found).encode()).hexdigest()}"'
        status = 304 if request.headers.get("if-none-match") == etag else 200
        if status == 304:
            self._requests.pop()  # What did not change costs nothing.
        return json_reply(status, found, ETag=etag, **(headers or {}))

    def _get(self, request: Request, repo: str, number: int) -> Reply:
        return self._conditional(request, self.issues[(repo, number)].shown())

    def _patch(self, request: Request, repo: str, number: int) -> Reply:
        wanted, issue = request.json(), self.issues[(repo, number)]
        problem = self._problem(wanted)
        if problem or wanted.get("state", "open") not in ("open", "closed"):
            return json_reply(422, {"message": "Validation Failed", "errors": [problem or {"field": "state"}]})
        issue.title, issue.body = wanted.get("title", issue.title), wanted.get("body", issue.body)
        at = _stamp(request.at)
        issue.stand(wanted.get("state", issue.state), wanted.get("state_reason"), "console-bot", at)
        if "labels" in wanted:
            issue.labels = _names(wanted["labels"])
        return json_reply(200, issue.shown())

    def _comment(self, request: Request, repo: str, number: int) -> Reply:
        body = request.json().get("body")
        if not isinstance(body, str) or not 0 < len(body) <= BODY_CHARACTERS:
            return json_reply(422, {"message": "Validation Failed"})
        comment = self._said(self.issues[(repo, number)], body, "console-bot", request.at)
        return json_reply(201, comment.shown())

    def _said(self, issue: Issue, body: str, user: str, at: float) -> Comment:
        comment = Comment(next(self._ids), body, user, _stamp(at))
        issue.comments.append(comment)
        issue.updated_at = comment.created_at
        return comment

    def _comments(self, request: Request, repo: str, number: int) -> Reply:
        since = request.query.get("since", "")
        return self._page(
            request, [each.shown() for each in self.issues[(repo, number)].comments if each.created_at >= since]
        )

    def _label(self, request: Request, repo: str, number: int) -> Reply:
        issue = self.issues[(repo, number)]
        issue.labels = list(dict.fromkeys([*issue.labels, *_names(request.json().get("labels"))]))
        return json_reply(200, [{"name": name} for name in issue.labels])

    def _unlabel(self, request: Request, repo: str, number: int) -> Reply:
        issue, name = self.issues[(repo, number)], unquote(request.path.rsplit("/", 1)[1])
        if name not in issue.labels:
            return json_reply(404, {"message": "Label does not exist"})
        issue.labels.remove(name)
        return json_reply(200, [{"name": each} for each in issue.labels])

    def hook(self, url: str, secret: str) -> None:
        """Have what people do here delivered to an address from now on."""
        self._hook = (url, secret)

    def close_issue(self, number: int = 1, *, repo: str = "", by: str = "octocat") -> tuple[int, str] | None:
        """Let a person close an issue; returns what the hook answered."""
        return self._acted(self.issue(number, repo), "closed", by, state="closed", state_reason="completed")

    def reopen_issue(self, number: int = 1, *, repo: str = "", by: str = "octocat") -> tuple[int, str] | None:
        """Let a person reopen an issue."""
        return self._acted(self.issue(number, repo), "reopened", by, state="open", state_reason="reopened")

    def label_issue(
        self, label: str, number: int = 1, *, repo: str = "", by: str = "octocat"
    ) -> tuple[int, str] | None:
        """Let a person put a label on an issue."""
        issue = self.issue(number, repo)
        with self.lock:
            issue.labels = list(dict.fromkeys([*issue.labels, label]))
        return self._acted(issue, "labeled", by, label={"name": label})

    def comment_on(self, body: str, number: int = 1, *, repo: str = "", by: str = "octocat") -> tuple[int, str] | None:
        """Let a person comment on an issue."""
        issue = self.issue(number, repo)
        with self.lock:
            comment = self._said(issue, body, by, time.time())
        payload = {**self.event(issue, "created", by), "comment": comment.shown()}
        return self.deliver("issue_comment", payload) if self._hook else None

    def _acted(self, issue: Issue, action: str, by: str, **more: Any) -> tuple[int, str] | None:
        with self.lock:
            reason = more.pop("state_reason", issue.state_reason)
            issue.stand(more.pop("state", issue.state), reason, by, _stamp(time.time()))
        return self.deliver("issues", {**self.event(issue, action, by), **more}) if self._hook else None

    def event(self, issue: Issue, action: str, by: str = "octocat") -> dict[str, Any]:
        """Return the payload of an event of an issue."""
        owner, _, name = issue.repo.partition("/")
        return {
            "action": action, "issue": issue.shown(),
            "repository": {"full_name": issue.repo, "name": name, "owner": {"login": owner}},
            "sender": {"login": by, "type": "User"},
        }  # fmt: skip

    def deliver(
        self, event: str, payload: Mapping[str, Any], secret: str = "", url: str = "", *, delivery_id: str = "",
        signature: str | None = None,
    ) -> tuple[int, str]:  # fmt: skip
        """Send one signed event; returns status and body of the answer.

        Without `secret` and `url` those of `hook` are taken; `signature` replaces the right one.
        """
        hooked = self._hook or ("", "")
        url, secret = url or hooked[0], secret or hooked[1]
        body = json.dumps(payload, separators=(",", ":")).encode()
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/look-alike", "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery_id or str(uuid.uuid4()), "X-GitHub-Hook-ID": "1",
            "X-Hub-Signature-256": f"sha256={digest}" if signature is None else signature,
        }  # fmt: skip
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=10)
        try:
            connection.request("POST", parts.path or "/", body, headers)
            reply = connection.getresponse()
            return reply.status, reply.read(BODY_CHARACTERS).decode("utf-8", "replace")
        finally:
            connection.close()


def _names(found: object) -> list[str]:
    if not isinstance(found, list):
        return []
    return [str(each["name"] if isinstance(each, dict) else each) for each in found]
