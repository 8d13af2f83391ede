"""Each kind of check against the real thing, and what its settings may be."""

from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings as django_settings

from health.probes import PROBES
from health.probes.callables import register_check, result_of
from health.probes.results import Question, Result, Unanswered
from tests.health.conftest import Page


def ask(kind: str, config: dict[str, Any], secret: str = "", timeout_seconds: float = 2.0) -> Result:
    return PROBES[kind].ask(Question(config, secret, timeout_seconds))


@pytest.mark.parametrize(
    ("status", "config", "said"),
    [(200, {}, "healthy"), (302, {}, "healthy"), (404, {}, "unhealthy"), (503, {}, "unhealthy"),
     (404, {"expect_status": 404}, "healthy"), (200, {"expect_status": 204}, "unhealthy"),
     (200, {"expect_text": "is well"}, "healthy"), (200, {"expect_text": "ready"}, "unhealthy")],
)  # fmt: skip
def test_a_page_is_judged_by_status_and_text(site: Page, status: int, config: dict[str, Any], said: str) -> None:
    site.status = status
    assert ask("http", {"url": site.url, **config}).status == said


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_private_address_is_refused_with_the_setting_that_admits_it(site: Page, settings: Any, kind: str) -> None:
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=[])
    config = {"url": site.url} if kind == "http" else {"host": "127.0.0.1", "port": site.port}
    with pytest.raises(Unanswered, match="OUTBOUND_ALLOWED"):
        ask(kind, config)


def test_a_port_that_accepts_is_healthy_and_one_that_does_not_says_so(site: Page) -> None:
    assert ask("tcp", {"host": "127.0.0.1", "port": site.port}).status == "healthy"
    with pytest.raises(Unanswered, match="refused"):
        ask("tcp", {"host": "127.0.0.1", "port": 1})


def test_a_database_answers_a_query_that_may_only_read(database: str) -> None:
    assert ask("sql", {"query": "SELECT 40 + 2"}, database).detail.endswith("answered 42")
    with pytest.raises(Unanswered, match="read-only"):
        ask("sql", {"query": "CREATE TABLE never (x int)"}, database)
    with pytest.raises(Unanswered, match="timeout"):
        ask("sql", {"query": "SELECT pg_sleep(5)"}, database, timeout_seconds=0.2)


def test_a_refused_database_says_nothing_of_its_password(site: Page) -> None:
    with pytest.raises(Unanswered) as refused:
        ask("sql", {}, "postgresql://eva:hunter2hunter2@127.0.0.1:1/x")
    assert "hunter2" not in str(refused.value)


def test_a_redis_server_answers_ping_and_a_dead_one_does_not(site: Page) -> None:
    assert ask("redis", {}, django_settings.CACHES["default"]["LOCATION"]).detail == "a master with 0 replicas"
    with pytest.raises(Unanswered, match="ConnectionError"):
        ask("redis", {}, "redis://:secret@127.0.0.1:1/0")


@pytest.mark.parametrize(("kind", "url"), [("sql", "postgresql://10.0.0.1/x"), ("redis", "redis://10.0.0.1/0")])
def test_servers_at_private_addresses_need_the_setting_too(kind: str, url: str) -> None:
    with pytest.raises(Unanswered, match=r"10\.0\.0\.1/32"):
        ask(kind, {}, url)


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "postgresql://", "postgresql://h:port/", "nonsense"])
def test_a_url_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Unanswered, match="the URL"):
        ask("sql", {}, url)


@pytest.mark.parametrize(
    ("answer", "status", "detail"),
    [(True, "healthy", ""), (False, "unhealthy", ""), ("degraded", "degraded", ""), ("Healthy", "healthy", ""),
     ("the queue is full", "unhealthy", "the queue is full"),
     ({"status": "degraded", "details": "slow"}, "degraded", "slow"), ({"status": True}, "healthy", ""),
     ({"details": "?"}, "unhealthy", "?"), (Result("unknown"), "unknown", ""),
     (None, "unhealthy", "the callable returned NoneType, expected a bool, a status or a mapping")],
)  # fmt: skip
def test_a_callable_may_answer_in_several_forms(answer: object, status: str, detail: str) -> None:
    found = result_of(answer)
    assert (found.status, found.detail) == (status, detail)


def test_a_callable_is_found_by_name_only() -> None:
    with pytest.raises(Unanswered, match=r"there is no callable 'os\.system'"):
        ask("callable", {"name": "os.system"})


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        register_check("console.redis", lambda: True)


@pytest.mark.parametrize(
    ("kind", "config", "field"),
    [("http", {"url": "ftp://x"}, "url"), ("http", {}, "url"), ("http", {"url": "https://a", "nope": 1}, "nope"),
     ("http", {"url": "https://a", "expect_status": 99}, "expect_status"),
     ("http", {"url": "https://a", "expect_text": 5}, "expect_text"), ("http", {"url": "https://u:p@a"}, "url"),
     ("tcp", {"host": "", "port": 1}, "host"), ("tcp", {"host": "a", "port": 0}, "port"),
     ("tcp", {"host": "a", "port": True}, "port"), ("sql", {"query": ""}, "query"), ("sql", {}, "secret"),
     ("redis", {}, "secret"), ("callable", {"name": "os.system"}, "name")],
)  # fmt: skip
def test_bad_settings_are_named_by_field(kind: str, config: dict[str, Any], field: str) -> None:
    assert field in PROBES[kind].problems(config, False)


@pytest.mark.parametrize(
    ("kind", "config"),
    [("http", {"url": "https://example.org/x", "expect_status": 200}), ("tcp", {"host": "db", "port": 5432}),
     ("sql", {"query": "SELECT 1"}), ("redis", {}), ("callable", {"name": "console.disk"})],
)  # fmt: skip
def test_good_settings_have_no_problems(kind: str, config: dict[str, Any]) -> None:
    assert PROBES[kind].problems(config, True) == {}
