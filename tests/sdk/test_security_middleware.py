"""The security middleware over real HTTP: uvicorn and wsgiref in front, a console of two doors behind."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aivillage_observability.scoring import ALERT_FROM
from aivillage_observability.security import BlockList, SecurityEvents, asgi, wsgi
from tests.sdk.watched import Doors, Site, asgi_site, doors, wsgi_site

FOREVER = "2999-01-01T00:00:00+00:00"
FORM = "application/x-www-form-urlencoded"


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})
        return
    if scope["path"] == "/boom":
        raise RuntimeError("host")
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    status = _status(scope["path"], body)
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await send({"type": "http.response.body", "body": body[len(body) // 2 :]})


def wsgi_app(environ: Any, start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/boom":
        raise RuntimeError("host")
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
    start_response(f"{_status(environ['PATH_INFO'], body)} Whatever", [("Content-Type", "text/plain")])
    return [body[: len(body) // 2], body[len(body) // 2 :]]


def _status(path: str, body: bytes) -> int:
    return 401 if path == "/api/login" and b"right" not in body else 200


class Trial:
    """A site behind the middleware and the console it reports to."""

    def __init__(self, flavour: str) -> None:
        self.flavour = flavour
        self.undo = contextlib.ExitStack()
        self.console: Doors = self.undo.enter_context(doors())

    def serve(self, **options: Any) -> Site:
        events = SecurityEvents(console_url=self.console.url, token="t", flush_interval=0.05)
        blocks = BlockList(console_url=self.console.url, token="b", poll_interval=0.05)
        options = {"login_paths": ["/api/login"], "trusted_proxies": ["127.0.0.1"], **options}
        app: Any
        if self.flavour == "asgi":
            app = asgi.SecurityMiddleware(asgi_app, events=events, blocks=blocks, **options)
            site = self.undo.enter_context(asgi_site(app))
        else:
            app = wsgi.SecurityMiddleware(wsgi_app, events=events, blocks=blocks, **options)
            site = self.undo.enter_context(wsgi_site(app))
        self.watch = app.watch
        self.undo.callback(app.watch.stop)
        return site

    def block(self, **entry: Any) -> None:
        """Put an entry on the list and wait until it was asked for."""
        document = self.console.document
        document["blocks"] = [*document["blocks"], {"expires_at": FOREVER, "reason": "x", **entry}]
        self.fetched()

    def fetched(self) -> None:
        self.console.document["version"] += 1
        blocks = self.watch.blocks
        assert blocks.refresh()


@pytest.fixture(params=["asgi", "wsgi"])
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    tried = Trial(request.param)
    with tried.undo:
        yield tried


def until(held: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not held() and time.monotonic() < end:
        time.sleep(0.02)
    return held()


def test_an_attack_in_the_query_is_reported_and_the_request_is_served(trial: Trial) -> None:
    site = trial.serve()
    answer = site.ask("/api/search?q=%27%20OR%201%3D1%20--&page=2", X_Forwarded_For="203.0.113.9", User_Agent="Bot/1")
    assert answer.status == 200
    assert trial.console.wait(lambda rows: any(row["event_type"] == "sql_injection_attempt" for row in rows))
    (row,) = trial.console.of("sql_injection_attempt")
    assert row["source_ip"] == "203.0.113.9"
    assert row["threat_score"] >= ALERT_FROM
    assert row["details"]["input_data"] == "' OR 1=1 --"
    assert {name: row["details"][name] for name in ("where", "field", "endpoint", "user_agent")} == {
        "where": "query", "field": "q", "endpoint": "/api/search", "user_agent": "Bot/1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b"a=1&comment=%3Cscript%3Ealert(1)%3C/script%3E"),
        ("application/json", json.dumps({"a": {"b": ["<script>alert(1)</script>"]}}).encode()),
        ("application/json", b'{"cut": "<script>alert(1)</script>'),
    ],
)
def test_an_attack_in_a_body_is_found_and_the_body_arrives_whole(trial: Trial, kind: str, body: bytes) -> None:
    site = trial.serve()
    answer = site.ask("/api/comments", method="POST", body=body, kind=kind)
    assert (answer.status, answer.body) == (200, body)
    assert trial.console.wait(lambda rows: any(row["event_type"] == "xss_attempt" for row in rows))
    assert trial.console.of("xss_attempt")[0]["details"]["where"] == "body"


def test_a_body_of_another_kind_is_neither_copied_nor_changed(trial: Trial) -> None:
    site = trial.serve()
    body = b"\x00' or 1=1 --" * 20_000
    assert site.ask("/upload", method="POST", body=body, kind="application/octet-stream").body == body
    assert trial.console.wait(lambda rows: any(row["event_type"] == "api_request" for row in rows))
    assert {row["event_type"] for row in trial.console.rows} == {"api_request"}


def test_log_ins_are_told_with_who_tried(trial: Trial) -> None:
    site = trial.serve()
    for password, wanted in (("wrong", 401), ("right", 200)):
        body = f"username=ana&password={password}".encode()
        assert site.ask("/api/login", method="POST", body=body, kind=FORM).status == wanted
    assert trial.console.wait(lambda rows: {"auth_failure", "auth_success"} <= {row["event_type"] for row in rows})
    (failure,) = trial.console.of("auth_failure")
    assert (failure["user_id"], failure["details"]["reason"]) == ("ana", "answered 401")
    assert trial.console.of("auth_success")[0]["user_id"] == "ana"
    assert all("password" not in json.dumps(row["details"]) for row in trial.console.rows)


def test_requests_are_counted_by_user_address_endpoint_and_second(trial: Trial) -> None:
    site = trial.serve(user_header="X-User")
    for number in range(12):
        site.ask(f"/items/{number}", X_User="ana")
    assert trial.console.wait(
        lambda rows: sum(row["details"]["count"] for row in rows if row["event_type"] == "api_request") == 12
    )
    rows = trial.console.of("api_request")
    assert {(row["user_id"], row["source_ip"], row["details"]["endpoint"]) for row in rows} == {
        ("ana", "127.0.0.1", "/items/*")
    }
    assert len(rows) <= 4


@pytest.mark.parametrize(
    "entry", [{"scope": "ip", "value": "198.51.100.7"}, {"scope": "cidr", "value": "198.51.100.0/25"}]
)
def test_a_blocked_address_gets_403_before_the_application_runs(trial: Trial, entry: dict[str, str]) -> None:
    site = trial.serve()
    assert site.ask("/", X_Forwarded_For="198.51.100.7").status == 200
    trial.block(**entry)
    answer = site.ask("/boom", X_Forwarded_For="198.51.100.7")
    assert (answer.status, answer.content_type) == (403, "application/problem+json")
    assert json.loads(answer.body)["status"] == 403
    assert site.ask("/", X_Forwarded_For="198.51.100.200").status == 200


def test_a_blocked_user_cannot_sign_in_and_others_can(trial: Trial) -> None:
    site = trial.serve()
    site.ask("/")
    trial.block(scope="user", value="ana")
    body = b"username=ana&password=right"
    assert site.ask("/api/login", method="POST", body=body, kind=FORM).status == 403
    assert site.ask("/api/login", method="POST", body=body.replace(b"ana", b"bob"), kind=FORM).body.startswith(b"user")


def test_what_is_allowed_wins_and_a_block_ends_by_its_time(trial: Trial) -> None:
    site = trial.serve()
    site.ask("/")
    trial.console.document["allowed"] = ["198.51.100.0/30"]
    trial.block(scope="cidr", value="198.51.100.0/24")
    trial.block(scope="ip", value="203.0.113.1", expires_at="2001-01-01T00:00:00+00:00")
    statuses = [site.ask("/", X_Forwarded_For=who).status for who in ("198.51.100.2", "203.0.113.1", "198.51.100.9")]
    assert statuses == [200, 200, 403]


def test_the_last_list_holds_while_the_console_is_away(trial: Trial) -> None:
    site = trial.serve()
    site.ask("/")
    trial.block(scope="ip", value="198.51.100.7")
    trial.console.away = True
    assert not trial.watch.blocks.refresh()
    assert site.ask("/", X_Forwarded_For="198.51.100.7").status == 403


def test_an_unchanged_list_is_not_sent_again(trial: Trial) -> None:
    site = trial.serve()
    site.ask("/")
    assert until(lambda: ("Bearer b", 304) in trial.console.asked)
    assert trial.console.asked[0] == ("Bearer b", 200)


def test_a_header_from_a_stranger_is_not_believed(trial: Trial) -> None:
    site = trial.serve(trusted_proxies=["10.0.0.0/8"])
    site.ask("/?q=' or 1=1 --".replace(" ", "%20"), X_Forwarded_For="198.51.100.7")
    assert trial.console.wait(lambda rows: any(row["event_type"] == "sql_injection_attempt" for row in rows))
    assert trial.console.of("sql_injection_attempt")[0]["source_ip"] == "127.0.0.1"


def test_a_request_is_refused_at_once_where_asked_for(trial: Trial) -> None:
    site = trial.serve(block_at=0.9)
    body = b"q=%27+union+select+password+from+users+--"
    assert site.ask("/boom", method="POST", body=body, kind=FORM).status == 403
    assert site.ask("/fine", method="POST", body=b"q=union+workers", kind=FORM).body == b"q=union+workers"
    assert trial.console.wait(lambda rows: any(row["details"].get("refused") for row in rows))


def test_an_error_of_the_host_stays_its_own(trial: Trial) -> None:
    site = trial.serve(login_paths=["/boom"])
    assert site.ask("/boom", method="POST", body=b"user=eve", kind=FORM).status == 500
    assert trial.console.wait(lambda rows: any(row["event_type"] == "auth_error" for row in rows))
    assert trial.console.of("auth_error")[0]["details"]["type"] == "RuntimeError"


def test_an_error_of_ours_never_reaches_the_host(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_of: object) -> str:
        raise KeyError("ours")

    site = trial.serve(user_of=broken)
    assert [site.ask("/").status for _ in range(3)] == [200, 200, 200]
    assert trial.watch.failures["KeyError"] >= 3
    assert sum("let the request pass" in record.message for record in caplog.records) == 1


def test_what_is_not_watched_passes_untouched(trial: Trial) -> None:
    site = trial.serve(skip_paths=("/health",))
    assert site.ask("/health?q=%27%20or%201=1%20--").status == 200
    site.ask("/other")
    assert trial.console.wait(lambda rows: any(row["event_type"] == "api_request" for row in rows))
    assert {row["details"]["endpoint"] for row in trial.console.rows} == {"/other"}
