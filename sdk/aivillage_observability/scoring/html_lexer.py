"""Finds tags in hostile text the way a lenient browser does, and no further than it must.

Each tag is read at most `TAG_CHARS` far and at most `TAGS_MAX` tags are read, so reading is linear whatever comes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

TAGS_MAX = 60
TAG_CHARS = 600

_OPEN = re.compile(r"<[\s\x00-\x20]{0,8}([/!?%]{0,2})[\s\x00-\x20]{0,4}(:?[a-zA-Z][\w:.\x00-]{0,40}+|\[CDATA\[|--)?")
# To the next `>` outside quotes; a quote that is never closed ends with the tag's window.
_INSIDE = re.compile(r"""(?:=\s{0,4}"[^"]{0,400}+"|=\s{0,4}'[^']{0,400}+'|=\s{0,4}`[^`]{0,400}+`|[^<>"'`]|["'`]|<)*+""")


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag: where it begins, its name in lower case, what stands between the name and its end."""

    start: int
    end: int
    name: str
    closing: bool
    inside: str
    closed: bool


def tags(text: str) -> Iterator[Tag]:
    """Yield what a browser could take for tags, declarations and comments."""
    at = text.find("<")
    for _ in range(TAGS_MAX):
        if at < 0:
            return
        match = _OPEN.match(text, at)
        if match is None or not (match.group(2) or match.group(1)):
            at = text.find("<", at + 1)
            continue
        inside = _INSIDE.match(text, match.end(), match.end() + TAG_CHARS)
        end = inside.end() if inside else match.end()
        name = match.group(1).strip("/") + (match.group(2) or "").replace("\0", "").lower()
        yield Tag(at, end, name, "/" in match.group(1), text[match.end() : end], text[end : end + 1] == ">")
        at = text.find("<", match.end())
