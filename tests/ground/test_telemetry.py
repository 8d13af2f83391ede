"""Sentry and OTLP against receivers on loopback."""

import gzip
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from django.db import connection
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from aivillage_console import error_reports, telemetry


@dataclass
class Receiver:
    """What came in, by path."""

    port: int = 0
    bodies: list[tuple[str, bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Take whatever is posted, on loopback."""
    got = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep the body and say yes."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            got.bodies.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    got.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield got
    server.shutdown()
    server.server_close()
    thread.join()


def console(project_dir: Path, paths: list[str], **env: str) -> list[str]:
    name = connection.settings_dict["NAME"]
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    done = subprocess.run(
        [sys.executable, "-m", "tests.ground.reporting", *paths],
        cwd=project_dir,
        env={**os.environ, "DATABASE_URL": url, "ROLE": "web", **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def items(bodies: list[tuple[str, bytes]], kind: str) -> list[dict[str, Any]]:
    """Return the items of one kind; after an envelope's head come pairs of a line about the item and the item."""
    found = []
    for _, body in bodies:
        lines = body.rstrip(b"\n").split(b"\n")[1:]
        pairs = zip(lines[::2], lines[1::2], strict=True)
        found += [orjson.loads(item) for about, item in pairs if orjson.loads(about)["type"] == kind]
    return found


@pytest.mark.django_db(transaction=True)
def test_an_error_reaches_sentry_without_what_the_person_sent(project_dir: Path, receiver: Receiver) -> None:
    statuses = console(
        project_dir,
        ["/broken/?q=tell-nobody", "/-/healthy", "/sign-in/tell-nobody/"],
        SENTRY_DSN=f"http://public@127.0.0.1:{receiver.port}/1",
        SENTRY_TRACES_SAMPLE_RATE="1",
        SENTRY_PROFILES_SAMPLE_RATE="0",
    )
    assert statuses[0].startswith("500")
    errors = items(receiver.bodies, "event")
    assert [error["exception"]["values"][-1]["type"] for error in errors] == ["RuntimeError"]
    assert errors[0]["request"]["headers"].keys() <= {"Host", "User-Agent"}
    names = [str(transaction["transaction"]) for transaction in items(receiver.bodies, "transaction")]
    assert "/broken/" in names
    assert not any("healthy" in name for name in names)
    told = b"".join(body for _, body in receiver.bodies)
    assert [told[found.start() - 80 : found.end()] for found in re.finditer(rb"tell-nobody", told)] == []


def test_of_a_user_only_the_id_is_told() -> None:
    event = {"user": {"id": "7", "email": "a@example.org", "ip_address": "10.0.0.1"}, "request": {
        "url": "http://c/sign-in/abc?x=1", "query_string": "x=1", "cookies": {"a": "b"}, "data": "body",
        "headers": {"AUTHORIZATION": "x", "cookie": "y", "User-Agent": "z"}, "method": "GET",
        "env": {"REMOTE_ADDR": "x"},
    }}  # fmt: skip
    kept = error_reports.scrubbed(event, None)
    assert kept["user"] == {"id": "7"}
    assert kept["request"] == {"method": "GET", "url": "http://c/sign-in/…", "headers": {"User-Agent": "z"}}


@pytest.mark.django_db(transaction=True)
def test_a_request_is_a_server_span_with_its_statements_as_children(project_dir: Path, receiver: Receiver) -> None:
    statuses = console(
        project_dir,
        ["/-/ready", "/alerts/?q=tell-nobody", "/sign-in/?next=tell-nobody"],
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{receiver.port}/",
    )
    assert len(statuses) == 3
    assert {path for path, _ in receiver.bodies} == {"/v1/traces"}
    spans = [
        span
        for _, body in receiver.bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    servers = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    assert [span.name for span in servers] == ["GET alerts/"]
    statements = [span for span in spans if span.parent_span_id == servers[0].span_id and span.name == "SELECT"]
    assert statements
    assert not any(span.name == "SELECT" and not span.parent_span_id for span in spans)
    assert not any(b"tell-nobody" in body for _, body in receiver.bodies)


def test_only_web_and_worker_are_traced() -> None:
    assert sorted(telemetry.TRACED_ROLES) == ["web", "worker"]
    assert telemetry.TRACED_ROLES < telemetry.ROLES
    assert "test" not in telemetry.ROLES
