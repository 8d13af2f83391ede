"""What a text turns into on its way through decoders: a few bounded readings of it, the plainest first.

Every pattern here is a run of one class or a fixed length, so reading is linear whatever comes.
"""

import base64
import re
import unicodedata
from html.entities import html5

ROUNDS_MAX = 4
READINGS_MAX = 5
PACKED_CHARS_MAX = 4096

_PERCENT = re.compile(r"%(?:u([0-9a-fA-F]{4})|([0-9a-fA-F]{2}))")
_PERCENT_RUN = re.compile(r"(?:%[0-9a-fA-F]{2})++")
_ENTITY = re.compile(r"&(?:#[xX]0*+([0-9a-fA-F]{1,6})|#0*+([0-9]{1,7})|([A-Za-z]{2,24}+));?")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{0*+([0-9a-fA-F]{1,6})\}|0*+([0-7]{2,3}))")
_STYLE_ESCAPE = re.compile(r"\\{1,2}([0-9a-fA-F]{2,6})[ \t]?")
_BASE_SIXTEEN = re.compile(r"(?:0x[0-9a-fA-F]{2}){2,}+|0x(?:[0-9a-fA-F]{2}){4,}+")
# What NFKC leaves alone but a database or a template folds to the plain sign; U+FFFD is what lossy decoders leave.
_LOOKALIKES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02b9": "'", "\u2032": "'", "\u201c": '"', "\u201d": '"'})
# `<` and `>` in UTF-16 whose bytes were swapped on the way.
_SWAPPED = {0x3C00: "<", 0x3E00: ">"}
_PACKED = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_PLUS = re.compile(r"[|;&]\+{1,3}\w|^\w{2,8}\+\w:")
_NAMED = {name.rstrip(";").lower(): sign for name, sign in html5.items() if len(sign) == 1 and ord(sign) < 128}


FOCUS_CHARS = 8 * 1024
_MARKS = re.compile(
    r"""['"`<;|$%{\\]|&#|--|/\*|\.\.[/\\]|\bunion\b|\bselect\b|script:|\bor\b|\band\b|etc/""", re.IGNORECASE
)
_BEFORE = 256
_AFTER = 512


def focus(text: str, budget_chars: int = FOCUS_CHARS) -> str:
    """Return of a long text the places around signs that attacks need; where all of it is such, its head and tail."""
    if len(text) <= budget_chars:
        return text
    pieces: list[tuple[int, int]] = []
    spent = 0
    for match in _MARKS.finditer(text):
        start, end = max(match.start() - _BEFORE, 0), min(match.end() + _AFTER, len(text))
        if pieces and start <= pieces[-1][1]:
            spent += max(end - pieces[-1][1], 0)
            pieces[-1] = (pieces[-1][0], max(end, pieces[-1][1]))
        else:
            spent += end - start
            pieces.append((start, end))
        if spent > budget_chars:
            tail = budget_chars // 4
            return text[: budget_chars - tail] + "\n" + text[-tail:]
    return "\n".join(text[start:end] for start, end in pieces)


def _sign(code: int) -> str:
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else ""


def _overlong(raw: bytes) -> bytes:
    """Fold the two- and three-byte spellings of ASCII that lax UTF-8 decoders accept (%c0%ae is a full stop)."""
    if b"\xc0" not in raw and b"\xc1" not in raw and b"\xe0" not in raw:
        return raw
    out = bytearray()
    at = 0
    while at < len(raw):
        byte = raw[at]
        if byte in (0xC0, 0xC1) and at + 1 < len(raw):
            out.append(((byte & 1) << 6) | (raw[at + 1] & 0x3F))
            at += 2
        elif byte == 0xE0 and at + 2 < len(raw) and raw[at + 1] in (0x80, 0x81):
            out.append(((raw[at + 1] & 1) << 6) | (raw[at + 2] & 0x3F))
            at += 3
        else:
            out.append(byte)
            at += 1
    return bytes(out)


def _bytes_of(match: re.Match[str]) -> str:
    raw = _overlong(bytes.fromhex(match.group().replace("%", "")))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def percent_decoded(text: str) -> str:
    """Decode %27 and %u0027 once."""
    if "%" not in text:
        return text
    plain = _PERCENT_RUN.sub(_bytes_of, text)
    return (
        _PERCENT.sub(lambda match: _sign(int(match.group(1) or match.group(2), 16)), plain) if "%u" in plain else plain
    )


def _entity(match: re.Match[str]) -> str:
    if match.group(3):
        return _NAMED.get(match.group(3).lower(), match.group())
    return _sign(int(match.group(1), 16) if match.group(1) else int(match.group(2)))


def entities_decoded(text: str) -> str:
    """Decode HTML entities, with or without their semicolon."""
    return _ENTITY.sub(_entity, text) if "&" in text else text


def _escape(match: re.Match[str]) -> str:
    sixteen = match.group(1) or match.group(2) or match.group(3)
    return _sign(int(sixteen, 16) if sixteen else int(match.group(4), 8))


def escapes_decoded(text: str) -> str:
    """Decode the escapes of JavaScript and C strings."""
    return _ESCAPE.sub(_escape, text) if "\\" in text else text


def _styled(match: re.Match[str]) -> str:
    return _sign(int(match.group(1), 16))


def style_decoded(text: str) -> str:
    r"""Decode the escapes of style sheets: \\0065 and \\65 with a space behind are both e."""
    return _STYLE_ESCAPE.sub(_styled, text) if "\\" in text else text


def _sixteen(match: re.Match[str]) -> str:
    raw = bytes.fromhex(match.group().replace("0x", ""))
    return raw.decode("latin-1") if all(32 <= byte < 127 for byte in raw) else match.group()


def hex_decoded(text: str) -> str:
    """Decode 0x2e0x2e and 0x3c736372697074: printable text written in base sixteen."""
    return _BASE_SIXTEEN.sub(_sixteen, text) if "0x" in text else text


def plain(text: str) -> str:
    """Fold full-width and other compatibility signs, and drop what is invisible."""
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKC", text).translate(_LOOKALIKES | _SWAPPED)
    return "".join(sign for sign in folded if sign.isprintable() or sign.isspace() or sign < " ")


def unpacked(text: str) -> str:
    """Return what base 64 holds where the whole text is such and spells printable signs of code, else nothing."""
    packed = text.strip()
    if not 12 <= len(packed) <= PACKED_CHARS_MAX or len(packed) % 4 or not _PACKED.fullmatch(packed):
        return ""
    try:
        spelled = base64.b64decode(packed, validate=True).decode("ascii")
    except ValueError:
        return ""
    return spelled if all(sign.isprintable() or sign.isspace() for sign in spelled) else ""


def _spaced(text: str) -> bool:
    """Return whether `+` stands for a space: where there is no other, or behind a sign that splits commands."""
    return "+" in text and (" " not in text or _PLUS.search(text) is not None)


def readings(text: str) -> list[str]:
    """Return the text and what repeated decoding makes of it; the first is the text with only signs folded."""
    first = plain(text)
    found = [first]
    current = first
    for _ in range(ROUNDS_MAX):
        decoded = plain(entities_decoded(percent_decoded(current)))
        if decoded == current:
            break
        current = decoded
    if current != first:
        found.append(current)
    if _spaced(current):
        found.append(current.replace("+", " "))
    inside = unpacked(current)
    if inside:
        found.append(escapes_decoded(inside))
    return found[:READINGS_MAX]
