"""Texts, characters and numbers as Go writes them."""

import re
import struct

ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
ESCAPE = re.compile(  # noqa: TID251 - our own constant, linear
    r"\\(?:(?P<octal>[0-7]{3})|x(?P<byte>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})"
    r"|(?P<one>[^\n]))"
)
OLD_OCTAL = re.compile(r"[+-]?0[0-7_]+")  # noqa: TID251 - our own constant, linear
MOST = 2**63


def text_of(literal: str) -> str:
    """Return what a quoted text says; raises ValueError."""
    if literal.startswith("`"):
        return literal[1:-1].replace("\r", "")
    pieces, at, inner = [], 0, literal[1:-1]
    for found in ESCAPE.finditer(inner):
        pieces += [inner[at : found.start()].encode("utf-8", "replace"), _escaped(found, literal[0])]
        at = found.end()
    pieces.append(inner[at:].encode("utf-8", "replace"))
    return b"".join(pieces).decode("utf-8", "replace")


def _escaped(found: re.Match[str], quote: str) -> bytes:
    if found["octal"] or found["byte"]:
        number = int(found["octal"], 8) if found["octal"] else int(found["byte"], 16)
        if number > 255:
            raise ValueError("invalid syntax")
        return struct.pack("B", number)
    if found["one"]:
        letter = found["one"]
        if letter not in ESCAPES or letter in "\"'".replace(quote, ""):
            raise ValueError("invalid syntax")
        return ESCAPES[letter].encode()
    return chr(int(found["short"] or found["long"], 16)).encode("utf-8", "replace")


def char_of(literal: str) -> int:
    """Return the number of a character; raises ValueError."""
    text = text_of(literal)
    if len(text) != 1:
        raise ValueError(f"malformed character constant: {literal}")
    return ord(text)


def number_of(literal: str) -> int | float:
    """Return a number: whole where it is written so, else a float; raises ValueError."""
    lowered = literal.lower()
    try:
        if lowered.lstrip("+-")[:2] in ("0x", "0b", "0o"):
            whole = int(literal, 0)
        elif OLD_OCTAL.fullmatch(literal):
            whole = int(literal, 8)
        elif any(letter in lowered for letter in ".e"):
            return float(literal)
        else:
            whole = int(literal)
    except (ValueError, OverflowError):
        raise ValueError(f"bad number syntax: {literal!r}") from None
    if not -MOST <= whole < MOST:
        raise ValueError(f"integer overflow: {literal!r}")
    return whole
