"""Every route, asked as nobody should: wrong ids, words, methods and bodies get an answer, never an error of ours."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client

from tests.permissions.expected import API, EXPECTED
from tests.permissions.objects import Objects, bodies, one_of_each

UUID_LIKE = "-" * 36
WRONG_IDS = ["nothing", "-1", "0", "9" * 25, UUID_LIKE, "%00", "%F0%9F%92%A3", "..%2f..%2fetc", "'%20OR%201=1--"]
READ = sorted({path for method, path in EXPECTED if method == "GET"})
# One word for each thing the pages read from the address, in values that mean nothing to them.
WORDS = (
    "fragment", "tab", "state", "sev", "owner", "q", "after", "before", "range", "from", "to", "status", "kind",
    "level", "phase", "line", "have", "log", "curves", "key", "metrics", "axis", "diff", "alone", "cursor",
    "limit", "query", "band", "detector", "user", "ip", "model", "source", "at", "scope", "value", "names",
    "max_points", "since_step", "after_id", "active", "order", "time", "step", "start", "end", "match[]",
    "seconds", "confirm", "finding",
)  # fmt: skip
VALUES = [
    "nonsense",
    "-1",
    "9" * 25,
    "%00",
    "%ED%A0%80",
    "1e999",
    "nan",
    "%22%3E%3Cscript%3E",
    "9999-99-99T99:99",
    "[]",
]
LONE = json.loads('"half \\ud800 of a pair"')
HOSTILE: list[Any] = [
    LONE, "a\0b", "x" * 70_000, "<script>alert(1)</script>", "", "9" * 25, None, True, -1, 10**400, 1.5, [], {},
    [LONE], {"a": LONE}, {"a\0": "\0"}, [[[[[[[[[[{}]]]]]]]]]], {"url": LONE, "host": "\0", "repo": 7, "to_emails": {}},
]  # fmt: skip
UNSAFE = sorted((method, path) for method, path in EXPECTED if method in ("POST", "PATCH") and path.startswith(API))


@pytest.fixture
def made(db: None) -> Objects:
    """Return one object of each kind."""
    return one_of_each()


@pytest.fixture
def admin(client_of: Callable[..., Client]) -> Client:
    """Return who may do everything, and is told a 500 instead of being handed the exception."""
    return client_of("admin", raise_request_exception=False)


def ask(client: Client, method: str, path: str, body: bytes = b"") -> HttpResponseBase:
    """Make one call and undo what it did."""
    with transaction.atomic():
        answer = client.generic(method, path, data=body, content_type="application/json")
        if answer.streaming:
            b"".join(answer)
        transaction.set_rollback(True)
    return answer


def spoilt(path: str) -> Iterator[str]:
    """Yield a route with each wrong id in each place of one."""
    for wrong in WRONG_IDS:
        yield re.sub(r"<[^>]+>", wrong, path)


@pytest.mark.parametrize("path", [path for path in READ if "<" in path])
def test_an_id_of_the_wrong_kind_is_not_found(admin: Client, path: str) -> None:
    found = {asked: ask(admin, "GET", asked).status_code for asked in spoilt(path)}
    # Some routes take a word: a name without an object, or a query whose answer is empty.
    assert {asked: status for asked, status in found.items() if status >= 500} == {}
    if re.search(r"<(?:uuid:|int:|pk)", path):
        assert set(found.values()) <= {404, 405}


@pytest.mark.parametrize("path", READ)
def test_no_word_in_the_address_breaks_a_route(admin: Client, made: Objects, path: str) -> None:
    real = made.path(path)
    asked = [f"{real}?" + "&".join(f"{word}={value}" for word in WORDS) for value in VALUES]
    asked += [f"{real}?fragment={part}" for part in ("table", "board", "detail", "curves", "overview", "result", "%00")]
    asked += [f"{real}?" + "&".join([f"{word}=a"] * 50) for word in ("fragment", "q")]
    assert [
        (one[:200], ask(admin, "GET", one).status_code) for one in asked if ask(admin, "GET", one).status_code >= 500
    ] == []


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE"])
def test_no_method_breaks_a_route(admin: Client, made: Objects, method: str) -> None:
    answers = {path: ask(admin, method, made.path(path)) for _, path in EXPECTED}
    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code >= 500} == {}
    if method == "HEAD":
        assert {path for path, answer in answers.items() if not answer.streaming and answer.content} == set()


def bodies_spoilt(body: dict[str, Any]) -> Iterator[Any]:
    """Yield a proper body with each of its values in turn replaced, and what is no body at all."""
    yield from ([], "text", 7, None, {LONE: 1}, {"a" * 70_000: 1}, [body] * 3)
    for name in body:
        for value in HOSTILE:
            yield {**body, name: value}


@pytest.mark.parametrize(("method", "path"), UNSAFE)
def test_no_body_breaks_a_change(admin: Client, made: Objects, method: str, path: str) -> None:
    proper, real, wrong = bodies(made).get(path.removeprefix(API), {}), made.path(path), []
    for body in bodies_spoilt(proper):
        text = json.dumps(body)
        answer = ask(admin, method, real, text.encode())
        if answer.status_code >= 500:
            wrong.append((answer.status_code, text[:120]))
    for raw in (b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 20_000, b'{"a":' * 500 + b"1" + b"}" * 500):
        answer = ask(admin, method, real, raw)
        if answer.status_code >= 500:
            wrong.append((answer.status_code, raw[:40]))
    assert wrong == []


CONFIGURED = [path for method, path in UNSAFE if method == "PATCH"]


@pytest.mark.parametrize("path", CONFIGURED)
def test_what_is_not_to_be_written_is_not_written(admin: Client, made: Objects, path: str) -> None:
    real = made.path(path)
    shown = admin.get(real).json()
    sealed = {"secret_sealed": "x", "password": "x", "is_superuser": True, "lease_token": "x", "pk": 1, "_state": {}}
    for name, value in {**shown, **sealed}.items():
        answer = admin.patch(real, json.dumps({name: value}), content_type="application/json")
        if answer.status_code == 400:
            continue
        assert answer.status_code in (200, 403, 409), (name, answer.content)
        assert name not in sealed, name
    after = admin.get(real).json()
    moving = {"version", "updated_at", "secret_hint", "due_at"}
    assert {name: after[name] for name in after if name not in moving} == {
        name: shown[name] for name in shown if name not in moving
    }
