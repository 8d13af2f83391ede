"""String literals: what stands between the quotes, and how a text is written as one."""

import re
from typing import Final

SIMPLE: Final = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
WRITTEN: Final = {chr(code): f"\\{letter}" for letter, code in SIMPLE.items()} | {'"': '\\"'}
ESCAPE = re.compile(  # noqa: TID251 - our own constant, linear
    r"\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))"
)
PLAIN = re.compile(r"[^\\]+")  # noqa: TID251 - our own constant, linear
NUMBERED: Final = {**dict.fromkeys("01234567", 3), "x": 2, "u": 4, "U": 8}
BYTE = 255
# A byte that is no part of UTF-8 is kept as the surrogate at this distance.
LOW_BYTE = 0xDC00
LAST_POINT = 0x10FFFF


class BadText(ValueError):
    """A string literal that says nothing; `at` is the offset of the mistake within it."""

    def __init__(self, message: str, at: int) -> None:
        """Keep the offset for the caret below the query."""
        super().__init__(message)
        self.at = at


def unquote(literal: str, *, keep_bytes: bool = False) -> str:
    """Return the text of a string literal; a byte that is no part of UTF-8 becomes the replacement character.

    With `keep_bytes` it becomes a lone surrogate instead, so that it can still be told; see `sound`.
    """
    quote, inside = literal[0], literal[1:-1]
    _refuse_surrogates(inside)
    if quote == "`" or "\\" not in inside:
        return inside
    out, at = bytearray(), 0
    while at < len(inside):
        plain = PLAIN.match(inside, at)
        if plain:
            out += plain.group().encode()
            at = plain.end()
            continue
        escape = ESCAPE.match(inside, at)
        if escape is None:
            raise BadText("escape sequence not terminated", at + 1)
        out += _meant(escape, quote, at + 1)
        at = escape.end()
    return out.decode(errors="surrogateescape" if keep_bytes else "replace")


def sound(text: str) -> str:
    """Return a text with replacement characters for bytes that are no part of UTF-8."""
    return text if text.isascii() else text.encode(errors="surrogateescape").decode(errors="replace")


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        raise BadText("invalid UTF-8 rune", problem.start + 1) from problem


def _meant(escape: re.Match[str], quote: str, at: int) -> bytes:
    octal, hexadecimal, short, long, letter = escape.groups()
    if letter is not None:
        return _letter(letter, quote, at)
    code = int(octal, 8) if octal else int(hexadecimal or short or long, 16)
    if octal or hexadecimal:
        if code > BYTE:
            raise BadText("escape sequence is an invalid Unicode code point", at)
        return bytes((code,))
    if code > LAST_POINT or 0xD800 <= code < 0xE000:
        raise BadText("escape sequence is an invalid Unicode code point", at)
    return chr(code).encode()


def _letter(letter: str, quote: str, at: int) -> bytes:
    if letter == quote:
        return quote.encode()
    if letter in SIMPLE:
        return bytes((SIMPLE[letter],))
    if letter in NUMBERED:
        raise BadText("illegal character in escape sequence", at)
    raise BadText(f"unknown escape sequence U+{ord(letter):04X} {letter!r}", at)


def quoted(text: str) -> str:
    """Return a text as a double-quoted literal."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_written, text))}"'


def _written(character: str) -> str:
    if character in WRITTEN:
        return WRITTEN[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80 or LOW_BYTE <= code <= LOW_BYTE + BYTE:
        return f"\\x{code & BYTE:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
