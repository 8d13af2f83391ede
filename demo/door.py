"""The console as the demo sees it: its REST API, over loopback or the network, with a token that was given."""

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES = 4_000_000
API = "/api/console/v1/"


class Refusal(RuntimeError):
    """The console answered with an error; the text says which."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status


class Away(ConnectionError):
    """The console does not answer at all."""


@dataclass(frozen=True, slots=True)
class Console:
    """Address and token."""

    url: str
    token: str

    def get(self, noun: str, **query: object) -> Any:
        """Read from the API: `get("alerts", name="x")`."""
        return self.ask("GET", f"{API}{noun}/", query=query)

    def post(self, noun: str, body: object) -> Any:
        """Make something, or act on it."""
        return self.ask("POST", f"{API}{noun}/", body=body)

    def patch(self, noun: str, body: object) -> Any:
        """Change something."""
        return self.ask("PATCH", f"{API}{noun}/", body=body)

    def delete(self, noun: str) -> None:
        """Delete something."""
        self.ask("DELETE", f"{API}{noun}/")

    def everything(self, noun: str, *, pages: int = 20, **query: object) -> list[dict[str, Any]]:
        """Return the rows of all pages of a list, at most `pages` of them."""
        found: list[dict[str, Any]] = []
        path, asked = f"{API}{noun}/", {**query}
        for _ in range(pages):
            answer = self.ask("GET", path, query=asked)
            if isinstance(answer, list):
                return answer
            found += answer["results"]
            if not answer.get("next"):
                break
            parts = urlsplit(answer["next"])
            path, asked = f"{parts.path}?{parts.query}", {}
        return found

    def ask(self, method: str, path: str, *, body: object = None, query: dict[str, object] | None = None) -> Any:
        """Send one request and return the JSON of the answer; raises Refusal or Away."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            "User-Agent": "aivillage-demo",
        }
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connection()
        try:
            connection.request(method, target, body=data, headers=headers)
            answer = connection.getresponse()
            content = answer.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Away(f"The console at {self.url} does not answer ({error}).") from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise Refusal(answer.status, f"{method} {path}: {_detail(content)}")
        return json.loads(content) if content else None

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host = parts.hostname or "127.0.0.1"
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_SECONDS, context=context)
        return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_SECONDS)


def _detail(content: bytes) -> str:
    try:
        found = json.loads(content)
    except ValueError:
        return content[:200].decode(errors="replace")
    if not isinstance(found, dict):
        return str(found)[:200]
    text = str(found.get("detail") or found.get("title") or "refused")
    fields = found.get("errors")
    return f"{text} {json.dumps(fields)}"[:600] if fields else text
