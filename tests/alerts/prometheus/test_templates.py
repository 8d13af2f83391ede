"""Go templates as Prometheus fills them in; the expected texts are those of the real thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.engine.templates.executing import Bounds
from alerts.engine.templates.prometheus import AlertTexts, Surroundings, problem_of
from alerts.engine.templates.values import Sample

ROWS = {"up": [Sample({"x": "2"}, 2.0), Sample({"x": "1"}, 1.5)]}
AROUND = Surroundings(
    at_seconds=120.0,
    query=lambda text: ROWS.get(text, []),
    external_url="http://p.example.org/pre",
    base_url="http://p.example.org/pre",
    external_labels={"dc": "x"},
)


def shown(text: str, value: float = 1_234_567.0, bounds: Bounds | None = None) -> str:
    labels = {"a": "b", "instance": "h.example.org:9090"}
    return AlertTexts("X", labels, value, AROUND, bounds=bounds or Bounds()).expanded(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ $value }}", "1.234567e+06"),
        (
            "{{ 123456.789 }} {{ 100000.0 }} {{ 0.0001 }} {{ 0.00001 }} {{ -0.5 }}",
            "123456.789 100000 0.0001 1e-05 -0.5",
        ),
        (
            "{{ $labels }} {{ $externalLabels.dc }} {{ $externalURL }}",
            "map[a:b instance:h.example.org:9090] x http://p.example.org/pre",
        ),
        ("{{ .Labels.a }}{{ $.Labels.zz }}", "b"),
        ("a {{- 1 -}} b {{/* c */}}{{- /* d */ -}} e", "a1b e"),
        ("{{ with $labels.cluster }}c {{ . }}{{ else }}none{{ end }}", "none"),
        ('{{ if gt $value 5.0 }}big{{ else if eq $labels.a "b" }}b{{ end }}', "big"),
        ("{{ if and (gt $value 1.0) (lt $value 5.0) }}in{{ else }}out{{ end }}", "out"),
        (
            '{{ range $i, $s := query "up" | sortByLabel "x" }}{{ $i }}={{ .Labels.x }}:{{ $s.Value }},{{ end }}',
            "0=1:1.5,1=2:2,",
        ),
        ('{{ range query "none" }}x{{ else }}none{{ end }}', "none"),
        ("{{ range $k, $v := $labels }}{{ $k }};{{ end }}", "a;instance;"),
        (
            "{{ range 5 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 3 }}{{ break }}{{ end }}{{ . }}{{ end }}",
            "02",
        ),
        ('{{ define "t" }}<{{ .arg0 }}-{{ .arg1 }}>{{ end }}{{ template "t" args 1 "x" }}', "<1-x>"),
        ('{{ block "b" $labels.a }}B{{ . }}{{ end }}', "Bb"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ('{{ query "up" | first | value }} {{ query "up" | first | label "x" }} {{ query "none" }}', "2 2 []"),
        (
            "{{ humanize 0.000012345 }} {{ humanize 999.99 }} {{ humanize -1500 }} {{ humanize 1e30 }}",
            "12.35u 1000 -1.5k 1e+06Y",
        ),
        ("{{ humanize1024 1048576 }} {{ humanize1024 0.5 }} {{ humanizePercentage 0.123456 }}", "1Mi 0.5 12.35%"),
        (
            '{{ "43200" | humanizeDuration }} {{ humanizeDuration 61.5 }} {{ humanizeDuration 0.5 }}',
            "12h 0m 0s 1m 1s 500ms",
        ),
        (
            "{{ humanizeDuration -100000 }} {{ humanizeDuration 0 }} {{ humanizeDuration 59.123456 }}",
            "-1d 3h 46m 40s 0s 59.12s",
        ),
        ("{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        (
            '{{ (toTime 1e9).Format "Mon 2 Jan 2006, 15:04:05 MST" }} {{ (1e9 | toTime).Unix }}',
            "Sun 9 Sep 2001, 01:46:40 UTC 1000000000",
        ),
        ("{{ 1.5 | toDuration }} {{ (toDuration 90).Minutes }} {{ now }}", "1.5s 1.5 120"),
        ('{{ parseDuration "1h30m" }} {{ parseDuration "-1m" }}', "5400 -60"),
        ("{{ $labels.instance | stripDomain }} {{ $labels.instance | stripPort }}", "h:9090 h.example.org"),
        ('{{ stripPort "[::1]:90" }} {{ stripDomain "1.2.3.4:80" }} {{ stripPort "a:b:c" }}', "::1 1.2.3.4:80 a:b:c"),
        ('{{ reReplaceAll "a(x*)b" "${1}W" "-ab-axxb-" }} {{ match "^a+$" "aaa" }}', "-W-xxW- true"),
        ('{{ title "hello world_a b-c" }} {{ toUpper "abc" }} {{ toLower "ABC" }}', "Hello World_a B-C ABC abc"),
        (
            '{{ externalURL }} {{ pathPrefix }} {{ tableLink `up{a="b"} > 1` }}',
            "http://p.example.org/pre /pre /graph?g0.expr=up%7Ba%3D%22b%22%7D+%3E+1&g0.tab=1",
        ),
        (
            '{{ printf "%5.1f|%-6s|%06d|%q|%d|%v" 3.14159 "ab" 42 "q\\n" 1.5 true }}',
            '  3.1|ab    |000042|"q\\n"|%!d(float64=1.5)|true',
        ),
        (
            '{{ printf "%s %s" "a" }} {{ printf "%d" "a" "b" }} {{ printf "100%%" }} {{ printf "%[2]d %[1]d" 1 2 }}',
            "a %!s(MISSING) %!d(string=a)%!(EXTRA string=b) 100% 2 1",
        ),
        ('{{ print 1 2 "x" 3 }} {{ len "é" }} {{ index $labels "a" }} {{ slice "abcdef" 1 3 }}', "1 2x3 2 b bc"),
        (
            "{{ html `<a href='x'>\"&` }} {{ urlquery `a b&c=d/é` }}",
            "&lt;a href=&#39;x&#39;&gt;&#34;&amp; a+b%26c%3Dd%2F%C3%A9",
        ),
        ("{{ or $labels.zz `dflt` }} {{ and 1 0 }} {{ not true }}", "dflt 0 false"),
        ("{{ 'a' }} {{ 0x1F }} {{ 1_000 }} {{ 010 }} {{ .5 }}", "97 31 1000 8 0.5"),
        ('{{ (args "a").zz }}', "<no value>"),
    ],
)
def test_texts_are_filled_in(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ if gt $value 5 }}x{{ end }}", "at <gt $value 5>: error calling gt: incompatible types for comparison>"),
        ("{{ toUpper 5 }}", '__alert_X:1:123: executing "__alert_X" at <5>: expected string; found 5>'),
        ("{{ .Foo }}", "at <.Foo>: can't evaluate field Foo in type struct"),
        ("{{ $labels.a.b }}", "can't evaluate field b in type string>"),
        ('{{ template "x" }}', 'template "x" not defined>'),
        ('{{ query "none" | first }}', "first() called on vector with no elements>"),
        ('{{ humanize "abc" }}', 'parsing "abc": invalid syntax>'),
        ('{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}', "deep>"),
        ("{{ range 49000 }}{{ range 49000 }}{{ end }}{{ end }}", "more than 50000 steps>"),
        ('{{ $x := "abcdefgh" }}{{ range 60 }}{{ $x = print $x $x }}{{ end }}', "a text is longer than 65536 letters>"),
        ("{{ range 30000 }}abc{{ end }}", "the text is longer than 65536 letters>"),
        ("{{ range 20 }}{{ query `up` }}{{ end }}", "a template asks at most 10 queries>"),
        ('{{ match "(" "abc" }}', "error parsing regexp: missing closing ): `(`>"),
        ("{{ (toTime 1e9).Format }}", "wrong number of args for Format: want 1 got 0>"),
    ],
)
def test_what_fails_is_said_in_the_place_of_the_text(text: str, said: str) -> None:
    found = shown(text)
    assert found.startswith("<error expanding template: error executing template __alert_X: template: __alert_X")
    assert said in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ $label.foo }}", '1: undefined variable "$label"'),
        ("\n\n{{ nofunc 1 }}", '3: function "nofunc" not defined'),
        ("{{", "1: unclosed action"),
        ("{{ end }}", "1: unexpected {{end}}"),
        ("{{ if }}x{{ end }}", "1: missing value for if"),
        ("{{ if true }}x", "1: unexpected EOF"),
        ("{{ break }}", "1: {{break}} outside {{range}}"),
        ('{{ "open }}', "1: unterminated quoted string"),
        ("{{ (1 }}", "1: unclosed left paren"),
        ("{{ 1 | 2 }}", "1: non executable command in pipeline stage"),
        ("{{ 1a }}", "1: bad number syntax: '1a'"),
        ("{{ /* x }}", "1: unexpected '/' in the action"),
        ("{{/* x }}", "1: unclosed comment"),
        ("{{ " + "(" * 60 + "1" + ")" * 60 + " }}", "1: nested more than 50 deep"),
        ("{{ if true }}" * 60 + "{{ end }}" * 60, "1: nested more than 50 deep"),
        ("x" * 70_000, "longer than 65536 bytes"),
    ],
)
def test_what_is_no_template_is_refused_with_its_line(text: str, said: str) -> None:
    assert problem_of(text) == said


def test_no_attribute_of_an_object_can_be_reached() -> None:
    for text in ("{{ $value.__class__ }}", "{{ $labels.__class__ }}", "{{ (query `up` | first).__init__ }}"):
        assert "class" not in shown(text).split("at <")[0]
    assert shown("{{ $labels.__class__ }}") == ""


def test_prometheus_test_tool_knows_no_base_url() -> None:
    texts = AlertTexts("X", {}, 1.0, Surroundings(external_url="http://p"))
    assert texts.expanded("{{ $externalURL }}") == "http://p"
    assert "nil pointer" in texts.expanded("{{ externalURL }}")


@given(value=st.text(max_size=200))
def test_what_is_filled_in_is_never_read_again(value: str) -> None:
    assert AlertTexts("X", {"a": value}, 1.0, Surroundings()).expanded("{{ $labels.a }}") == value


@given(
    text=st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "{{- ",
                " -}}",
                "$value",
                "$labels.a",
                "if ",
                "range ",
                "end",
                "else",
                "with ",
                "define ",
                '"t"',
                "template ",
                "|",
                "(",
                ")",
                "printf ",
                "humanize ",
                " ",
                "1",
                "1.5",
                ".",
                ":=",
                "=",
                "$x",
                ",",
                "query ",
                "x",
            ]
        ),
        max_size=25,
    ).map("".join)
)
def test_any_text_gives_a_text(text: str) -> None:
    assert isinstance(shown(text), str)


@given(value=st.floats())
def test_any_number_can_be_shown(value: float) -> None:
    for function in (
        "humanize",
        "humanize1024",
        "humanizeDuration",
        "humanizePercentage",
        "humanizeTimestamp",
        "toTime",
    ):
        assert shown(f"{{{{ $value | {function} }}}}", value)
    assert float(shown("{{ $value }}", value).replace("NaN", "nan")) == value or value != value  # noqa: PLR0124
