"""Matchers, times and configurations as texts."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.engine.alertmanager import classic, documents, quoting, spans, syntax, times, utf8
from alerts.engine.alertmanager.config import load
from alerts.engine.alertmanager.documents import BadConfig
from alerts.engine.alertmanager.matching import BadMatcher, Matcher, show
from alerts.engine.alertmanager.routes import tree

VALID = "route:\n  receiver: r\nreceivers:\n- name: r\n"


@given(st.text(st.characters(blacklist_categories=["Cs"])), st.text(min_size=1, alphabet="abc_ü =~"))
def test_what_is_shown_is_read_back(value: str, name: str) -> None:
    for op in ("=", "!="):
        shown = show([Matcher(op, name, value)])
        if any(char in " =~" for char in name) or ("\r" not in value and all(char.isprintable() for char in value)):
            assert utf8.parse_matchers(shown) == [Matcher(op, name, value)]


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_quoting_and_unquoting_are_opposites(text: str) -> None:
    assert quoting.unquote(quoting.quote(text)) == text


@given(st.text(alphabet="{}a=!~,\\\"' \n[", max_size=12))
def test_no_text_breaks_either_syntax(text: str) -> None:
    for mode in ("classic", "utf8", "fallback"):
        with contextlib.suppress(BadMatcher):
            assert isinstance(syntax.matchers(text, mode), list)


def test_where_both_syntaxes_read_a_text_differently_the_older_holds() -> None:
    read = syntax.read('foo="\\x61"')
    assert read.matchers == [Matcher("=", "foo", "\\x61")]
    assert "classic" in read.warning
    assert syntax.read("é=1").matchers == [Matcher("=", "é", "1")]
    assert "write" in syntax.read("foo=[a").warning or syntax.read("foo=[a").matchers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no matchers"),
        ("a=1,b=2", "expected 1 matcher, found 2"),
        ("a!1", "1:2: !: expected one of '=~'"),
        ("a!", "1:2: unexpected end of input, expected one of '=~'"),
        ('a="1', '2:4: "1: missing end "'),
        ("a=`", "2:3: `: invalid input"),
    ],
)
def test_a_bad_matcher_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(BadMatcher) as caught:
        utf8.parse_matcher(text)
    assert said in str(caught.value)


def test_a_regular_expression_must_match_the_whole_value() -> None:
    (found,) = classic.parse_matchers('a=~"b|c"')
    assert [found.holds(value) for value in ("b", "c", "bc", "")] == [True, True, False, False]


@pytest.mark.parametrize(("text", "seconds"), [("1h30m", 5400.0), ("1d", 86400.0), ("250ms", 0.25), ("0", 0.0)])
def test_durations_read_and_show(text: str, seconds: float) -> None:
    assert spans.parse_span(text) == seconds
    assert spans.parse_span(spans.show(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "1", "1m1h", "5x", "1s1s", "-1s", "1.5h", "300000y"])
def test_bad_durations_are_refused(text: str) -> None:
    with pytest.raises(BadConfig):
        spans.parse_span(text)


def test_days_from_the_months_end_hold_in_every_month() -> None:
    last = documents.read("days_of_month: ['-1']", times.time_interval)
    for month, day in ((2, 28), (4, 30), (12, 31)):
        assert last.contains(datetime(2026, month, day, tzinfo=UTC))
        assert not last.contains(datetime(2026, month, day - 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no route provided in config"),
        ("nonsense: 1\n" + VALID, "line 1: field nonsense not found"),
        (VALID + "route:\n  receiver: r\n", "already set"),
        (VALID + "templates: {a: b}\n", "cannot unmarshal !!map"),
        (VALID + "global: {resolve_timeout: 5 minutes}\n", "unknown unit"),
        (VALID + "inhibit_rules: [{equal: ['']}]\n", 'invalid label name ""'),
        (VALID + "inhibit_rules: [{source_matchers: ['a=~[']}]\n", "error parsing regexp"),
        ("route: {receiver: r}\nreceivers: [{name: r, webhook_configs: [{}]}]", "one of url or url_file"),
        ("route: {receiver: r}\nreceivers: [{name: r, webhook_configs: [{url: 'ftp://x'}]}]", "unsupported scheme"),
        ("route: {receiver: r}\nreceivers: [{name: r, email_configs: [{to: a}]}]", "no global SMTP smarthost set"),
        (VALID + "a: &a [1]\nb: *a\n", "field a not found"),
        (VALID + "time_intervals: [{name: x, time_intervals: [{location: Mars/Base}]}]", "unknown time zone Mars/Base"),
    ],
)
def test_a_bad_configuration_is_refused_and_says_why(text: str, said: str) -> None:
    with pytest.raises(BadConfig) as caught:
        load(text)
    assert said in str(caught.value)


def test_aliases_cannot_make_a_document_grow_without_bound() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(BadConfig):
        load(
            "receivers:\n- name: r\n  webhook_configs:\n  - url: http://x\n    payload:\n      "
            + "\n      ".join(lines)
        )


def test_a_child_route_inherits_all_but_its_times() -> None:
    text = (
        "route: {receiver: r, group_by: [a], group_wait: 5s, labels: {team: x},"
        " routes: [{matchers: [b=1], group_by: [...], labels: {pager: y}}]}\nreceivers: [{name: r}]"
    )
    root = tree(load(text).route)
    (child,) = root.reached({"b": "1"})
    assert child.options.receiver == "r"
    assert child.options.group_by_all
    assert child.options.group_wait_seconds == 5
    assert child.options.labels == {"team": "x", "pager": "y"}
    assert child.identity() == '{}/{b="1"}/0'
    assert root.reached({"b": "2"}) == [root]
