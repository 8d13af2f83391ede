"""Texts in double quotes as Go writes and reads them; error messages and matchers carry them."""

ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}
SHOWN = {chr(code): "\\" + letter for letter, code in ESCAPES.items()}
NUMBERED = {"x": 2, "u": 4, "U": 8}
OCTAL_DIGITS = 3
MAX_BYTE = 0xFF
MAX_RUNE = 0x10FFFF
SURROGATES = range(0xD800, 0xE000)
BEYOND_BMP = 0x10000
FIRST_PRINTABLE = 0x20
DELETE = 0x7F
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"  # noqa: E501


class BadQuotes(ValueError):
    """Not a text in double quotes."""


def quote(text: str) -> str:
    """Return a text in double quotes; what cannot be printed is escaped."""
    return '"' + "".join(_shown(char) for char in text) + '"'


def _shown(char: str) -> str:
    if char in SHOWN:
        return SHOWN[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < FIRST_PRINTABLE or code == DELETE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < BEYOND_BMP else f"\\U{code:08x}"


def unquote(text: str) -> str:
    """Return the text between double quotes, its escapes read; raises BadQuotes."""
    if len(text) < len('""') or text[0] != '"' or text[-1] != '"':
        raise BadQuotes(text)
    inner, raw, at = text[1:-1], bytearray(), 0
    while at < len(inner):
        char = inner[at]
        if char in {'"', "\n"}:
            raise BadQuotes(text)
        if char == "\\":
            at = _escape(inner, at + 1, raw)
        else:
            raw += char.encode("utf-8", "surrogatepass")
            at += 1
    try:
        return raw.decode()
    except UnicodeDecodeError as problem:
        raise BadQuotes(text) from problem


def _escape(inner: str, at: int, raw: bytearray) -> int:
    """Read what follows a backslash into `raw`; returns where it ends."""
    letter = inner[at : at + 1]
    if letter in NUMBERED:
        return _numbered(inner, at, raw)
    if letter in ESCAPES:
        raw.append(ESCAPES[letter])
        return at + 1
    digits = inner[at : at + OCTAL_DIGITS]
    code = _number(digits, 8, OCTAL_DIGITS)
    if code > MAX_BYTE:
        raise BadQuotes(inner)
    raw.append(code)
    return at + OCTAL_DIGITS


def _numbered(inner: str, at: int, raw: bytearray) -> int:
    width = NUMBERED[inner[at]]
    code = _number(inner[at + 1 : at + 1 + width], 16, width)
    if inner[at] == "x":
        raw.append(code)
    elif code > MAX_RUNE or code in SURROGATES:
        raise BadQuotes(inner)
    else:
        raw += chr(code).encode()
    return at + 1 + width


def _number(digits: str, base: int, width: int) -> int:
    allowed = "01234567" if base == len("01234567") else "0123456789abcdefABCDEF"
    if len(digits) != width or any(digit not in allowed for digit in digits):
        raise BadQuotes(digits)
    return int(digits, base)
