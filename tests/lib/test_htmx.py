"""Answers for htmx."""

import json

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from aivillage_console.lib import htmx

HX = {"HX-Request": "true"}


@pytest.mark.parametrize("text", ["done", "größer", "日本", 'a "quoted" line\n'])
def test_an_event_survives_the_header_whatever_it_says(text: str) -> None:
    header = htmx.trigger(HttpResponse(), "toast", text=text).headers["HX-Trigger"]
    assert header.isascii()
    assert json.loads(header) == {"toast": {"text": text}}


def test_a_redirect_works_inside_htmx_and_outside() -> None:
    inside = htmx.redirect(RequestFactory().get("/", headers=HX), "/alerts/")
    outside = htmx.redirect(RequestFactory().get("/"), "/alerts/")
    assert (inside.status_code, inside.headers["HX-Redirect"]) == (204, "/alerts/")
    assert (outside.status_code, outside.headers["Location"]) == (303, "/alerts/")


def test_a_boosted_request_gets_the_page() -> None:
    assert htmx.is_fragment(RequestFactory().get("/", headers=HX))
    assert not htmx.is_fragment(RequestFactory().get("/", headers={**HX, "HX-Boosted": "true"}))


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_next_stays_at_home(wanted: str) -> None:
    assert htmx.next_url(RequestFactory().get("/", {"next": wanted}), "/alerts/") == "/alerts/"


def test_next_goes_where_it_says_inside() -> None:
    assert htmx.next_url(RequestFactory().get("/", {"next": "/setup/"}), "/") == "/setup/"
