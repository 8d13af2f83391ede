"""Addresses a server should not be sent to: hosts hidden in numbers, its own network, names of cloud metadata."""

import re
from collections.abc import Iterator

from aivillage_observability.scoring.score import Reason, excerpt

_SCHEME = r"\b(?:https?:/{0,2}|[a-z][a-z0-9+.-]{1,11}://)(?:[^\s/@]{0,40}@)?"
_PART = r"(?:0x[0-9a-f]{1,8}|\d{1,12})"
_SHAPES = tuple(
    (code, text, weight, re.compile(pattern, re.IGNORECASE))
    for code, text, weight, pattern in (
        (
            "numeric_host",
            "a host spelled as a number, or in an unusual base",
            0.7,
            (
                rf"{_SCHEME}(?:0x[0-9a-f]{{2,8}}(?:\.{_PART}){{0,3}}|\d{{8,10}}|0\d{{2,12}}(?:\.{_PART}){{1,3}}|\d{{1,3}}\.\d{{4,9}}|{_PART}\.{_PART}\.\d{{4,6}})(?=[/:?\#\s]|$)"
            ),
        ),
        (
            "inner_six",
            "an address of the sixth version inside brackets",
            0.7,
            rf"{_SCHEME}(?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}@)?\[(?:[0:]{{2,40}}(?:ffff)?[:\]]|::|fe80|fc|fd)[0-9a-f:.%\w]{{0,60}}",
        ),
        (
            "metadata_host",
            "the address where a cloud tells a machine its secrets",
            0.8,
            r"\b169\.254\.(?:169\.254|170\.2)\b(?=[/:\s]|$)|\bmetadata\.google\.internal\b|\b100\.100\.100\.200\b|/latest/(?:meta-data|user-data)\b",
        ),
        (
            "second_host",
            "an address with two hosts, one of them hidden",
            0.7,
            r"\bhttps?://[^\s/]{1,60}\s?&?@[^\s/]{1,60}[#@]|\bhttps?://[^\s/]{1,60}#\s?@|\bhttps?:/{0,2}(?:\\{1,2}\w){3}",
        ),
        (
            "odd_scheme_host",
            "another protocol to the machine itself",
            0.7,
            r"\b(?!https?:|wss?:|redis|postgres|mysql|amqp|mongodb)[a-z][a-z0-9+.-]{1,11}://(?:localhost|127\.\d|0\.0\.0\.0|169\.254\.|\[?::1)",
        ),
        (
            "swallowing_address",
            "an address that swallows what would be put behind it",
            0.7,
            r"^(?:ht|f)tps?://\S{4,200}\.(?:php\d?|phtml|txt|jspx?|aspx?|cgi|pl|inc|dat|gif|jpe?g|png)(?:\?{1,2}|%00|\x00)$",
        ),
        (
            "remote_script",
            "a script on a host without a name",
            0.7,
            r"^(?:ht|f)tps?://(?:\d{1,3}(?:\.\d{1,3}){3}|\[?[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){3,7}\]?)(?::\d{1,5})?/\S{0,120}\.(?:php\d?|phtml|txt|jsp|aspx?|sh|exe|ps1)\b",
        ),
    )
)


def address_reasons(text: str) -> Iterator[Reason]:
    """Yield what in a value sends the server where it should not go."""
    if ":" not in text and "169.254" not in text and "meta" not in text:
        return
    for code, what, weight, pattern in _SHAPES:
        match = pattern.search(text)
        if match is not None:
            yield Reason(code, what, weight, excerpt(text, match.start(), match.end() + 20))
