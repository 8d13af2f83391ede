"""Cross-site scripting: tags, handlers, addresses and code that a browser would run."""

import re
from collections.abc import Iterator

from aivillage_observability.scoring.decoding import escapes_decoded, hex_decoded, plain, style_decoded
from aivillage_observability.scoring.html_lexer import Tag, tags
from aivillage_observability.scoring.score import Reason, excerpt
from aivillage_observability.scoring.script import left_literal, only_symbols, script_reasons

WORDS_MAX = 12
SPELLINGS_MAX = 4
PROBE_CHARS = 40
PROBE_SIGNS = 3
_PROBE = re.compile(r"[^\w\s]{2,40}")
_HINT = re.compile(r"[<>=(`\[{:\\]|%[0-9uU]|&\#?\w|\+AD|0x|&\w|[\w.]\.[a-z]")
_LOADERS = frozenset(
    """
    iframe frame frameset object embed applet base layer ilayer bgsound xml event-source vmlframe portal import
    fencedframe isindex keygen handler set animate animatetransform animatemotion foreignobject plaintext param
    noembed noframes listener xsl:stylesheet xss
    """.split()  # noqa: SIM905
)
_DRAWN = frozenset(
    """
    svg math link meta style form marquee audio video source body html input button textarea select svg:svg
    """.split()  # noqa: SIM905
)
_EVENT = re.compile(r"""(?:^|[\s/"'`\x00-\x20,;=>(\]])on[a-z]{3,40}[\s\x00-\x20]{0,8}=""", re.IGNORECASE)
_LOOSE_EVENT = re.compile(
    r"""(?:^|[\s/"'`\x00-\x20,;?&>)])(on(?:abort|activate|after\w{4,12}|animation\w{3,12}|before\w{3,16}|begin|blur|bounce
    |cancel|canplay\w{0,8}|change|click|close|contextmenu|copy|cut|cuechange|dblclick|drag\w{0,6}|drop|durationchange|end
    |ended|error|finish|focus\w{0,4}|formdata|hashchange|help|input|invalid|key(?:down|press|up)|load\w{0,12}|message\w{0,8}
    |mouse\w{2,8}|offline|online|page(?:hide|show)|paste|pause|play\w{0,4}|pointer\w{2,16}|popstate|progress
    |propertychange|ratechange|readystatechange|repeat|reset|resize|scroll\w{0,4}|search|seek\w{2,4}|select\w{0,8}|show
    |stalled|start|storage|submit|suspend|timeupdate|toggle|touch\w{3,6}|transition\w{3,8}|unhandledrejection|unload
    |volumechange|waiting|webkit\w{3,30}|wheel))[\s\x00-\x20]{0,4}=[\s\x00-\x20]{0,4}(?P<value>\S)""",
    re.IGNORECASE | re.VERBOSE,
)
_BARE_EVENT = re.compile(r"""[\s"'<]{0,8}on[a-z]{4,45}\s{0,4}=\s{0,4}""", re.IGNORECASE)
_SPACED_TAG = re.compile(
    r"<\s?(?:s c r i p t|f o r m|i f r a m e|i m g|s v g|o b j e c t|e m b e d|b o d y|i n p u t|s t y l e|m e t a)\b",
    re.IGNORECASE,
)
_CODE_ATTRIBUTES = re.compile(
    r"\b(?:srcdoc|formaction|seeksegmenttime|fscommand|http-equiv|allowscriptaccess|folder"
    r"|implementation|attributename|xlink:href|poster|background|dynsrc|lowsrc|ping|style|code|codebase|classid|autofocus"
    r"|contenteditable|onxxx)\s{0,4}=",
    re.IGNORECASE,
)
_STYLE_LOADS = re.compile(r"\bstyle\s{0,4}=[^>]{0,200}?(?:url\s{0,4}\(|[{}\[\]])", re.IGNORECASE)
_BINDING = re.compile(r"\b(?:datasrc|dataformatas|datafld|ev:event|ev:handler)\s{0,4}=", re.IGNORECASE)
_OUTSIDE = re.compile(r"=\s{0,4}['\"`]?\s{0,4}(?:https?:)?(?://|\\\\)\S", re.IGNORECASE)
_BROKEN_OUT = re.compile(
    r"""^[^<>]{0,80}?["'`]?\s{0,8}/?>[^<>]{0,40}<|^\s{0,8}["'`]{1,4}\s{0,8}<|-->|\]\]>|</(?:title|style|textarea)"""
)
# Elements a page is made of: a value that closes one it did not open closes the page's own.
_FRAME = frozenset(
    """
    html head body title style script textarea form select option noscript xmp template iframe frameset object math svg
    table noembed noframes plaintext listing button label fieldset
    """.split()  # noqa: SIM905
)
_HIDDEN_HOST = re.compile(
    r"""=\s{0,4}['"`\\\u201d]{0,3}\s{0,4}(?:(?:https?:)?\s{0,4}//\s{0,4}(?:0x|0\d|\d{1,3}\.\d|\d{7,10}\b|[^\s/"'>]{1,60}[@%]|[^\s/"'>]{0,40}[^\x00-\x7f]|\w{1,3}\s{2,8})
    |//|/\\|h\s{0,4}t\s{0,4}t\s{1,4}p|https?:[^/\s"'\\]|``)""",
    re.IGNORECASE | re.VERBOSE,
)
_SPELLED_BRACKET = re.compile(
    r"(?:(?:&\#(?:x0*+3[ce]|0*+6[02])|&[lg]t|\\{1,2}(?:u00|x)3[ce]|%(?:25)+3[ce]|%uff1[ce]);?[\s'\"]{0,2}){1,400}",
    re.IGNORECASE,
)
_SPELLINGS = re.compile(r"&\#(?:x0*+3[ce]|0*+6[02]);?|&[lg]t;?|\\(?:u00|x)3[ce]|%3[ce]", re.IGNORECASE)
_SPELLED_LETTERS = re.compile(
    r"(?:&\#(?:x(?:[46][1-9a-f]|[57][0-9a])|0*+(?:6[5-9]|[789]\d|1[01]\d|12[0-2]));?){3}", re.IGNORECASE
)
_PARTED_LETTERS = re.compile(r"(?:['\"]\w){5}")
_SQUEEZED = re.compile(r"[\s\x00-\x20\xa0\u2028\u2029]+|/\*[^*]{0,80}\*/")
_NAME = re.compile(r"[\w:!?.\[-]++")


def _tag_reasons(tag: Tag, text: str) -> Iterator[Reason]:
    shown = excerpt(text, tag.start, tag.end + 1)
    name = tag.name
    if name.startswith("script") or name.endswith(":script"):
        yield Reason("script_tag", "a script tag", 0.9, shown)
    elif (name in _LOADERS or name.endswith(("vmlframe", ":stylesheet"))) and not tag.closing:
        yield Reason("loading_tag", f"a tag that loads or replaces content: {name[:20]}", 0.7, shown)
    elif name.startswith("!--#") or (name == "!--" and tag.inside.lstrip().startswith("#")):
        yield Reason("server_include", "a comment that a server replaces by content", 0.7, shown)
    elif name.startswith(("!entity", "?import", "?xml-stylesheet")):
        yield Reason("declaration", "a declaration that loads content", 0.7, shown)
    if not tag.closing:
        yield from _attribute_reasons(tag, shown, text)


def _attribute_reasons(tag: Tag, shown: str, text: str) -> Iterator[Reason]:
    inside = tag.inside
    alone = not text[: tag.start].strip() and text.count(" ") < WORDS_MAX
    if _EVENT.search(inside) or re.match(r"on[a-z]{3,40}$", tag.name):
        yield Reason("event_handler", "a tag with an event handler", 0.9, shown)
    if _CODE_ATTRIBUTES.search(inside):
        yield Reason("code_attribute", "an attribute that loads or runs code", 0.4, shown)
    if _STYLE_LOADS.search(inside):
        yield Reason("style_loads", "a style that loads, or that is none", 0.2, shown)
    if _BINDING.search(inside):
        yield Reason("data_binding", "attributes that bind content from elsewhere", 0.6, shown)
    if tag.name in _DRAWN:
        yield Reason("drawn_tag", "a tag that draws, loads or asks", 0.5, shown)
    elif tag.name in {"img", "image"}:
        yield Reason("image_tag", "an image", 0.4, shown)
    if tag.name in {"a", "img", "image", "area"} and _OUTSIDE.search(inside):
        yield Reason("outside_address", "a tag that points outside", 0.3, shown)
        if alone:
            yield Reason("lone_address", "nothing but a tag that points outside", 0.2, shown)
    if tag.name in {"a", "img", "area"} and _HIDDEN_HOST.search(inside):
        yield Reason("hidden_host", "a tag that points to an address spelled to hide it", 0.5, shown)


def _markup(text: str) -> Iterator[Reason]:
    if "<" not in text:
        return
    named = opened = False
    names: set[str] = set()
    for tag in tags(text):
        if tag.closing and tag.name in _FRAME and tag.name not in names:
            shown = excerpt(text, tag.start, tag.end + 1)
            yield Reason("foreign_end", f"closes an element it did not open: {tag.name}", 0.5, shown)
        names.add(tag.name)
        yield from _tag_reasons(tag, text)
        named = named or bool(_NAME.match(tag.name))
        opened = opened or not (tag.closing or tag.name.startswith("!"))
    if named:
        yield Reason("tag", "a tag where a value belongs", 0.2, excerpt(text, text.find("<")))
        match = _BROKEN_OUT.search(text)
        if match is not None and opened:
            yield Reason(
                "left_attribute",
                "leaves an attribute or element and begins a tag",
                0.5,
                excerpt(text, match.start(), match.end() + 10),
            )


def _spelled(text: str) -> Iterator[Reason]:
    """Yield what is seen only before decoding: brackets and letters spelled to get past a filter."""
    stripped = text.strip(" '\"")
    if _SPELLED_BRACKET.fullmatch(stripped):
        yield Reason("spelled_bracket", "nothing but a tag's bracket, spelled to pass a filter", 0.7, excerpt(text))
    elif len({match.group().lower() for match in _SPELLINGS.finditer(text)}) >= SPELLINGS_MAX:
        yield Reason("spelled_bracket", "a bracket in many spellings", 0.7, excerpt(text))
    match = _SPELLED_LETTERS.search(text)
    if match is not None:
        yield Reason("spelled_letters", "plain letters written as entities", 0.7, excerpt(text, match.start()))
    if len(stripped) <= PROBE_CHARS and _PROBE.fullmatch(text) and len(set(text) & set("\"'<>`")) >= PROBE_SIGNS:
        yield Reason("breaking_signs", "nothing but signs that end an attribute", 0.7, excerpt(text))


def _handlers(text: str) -> Iterator[Reason]:
    if _BARE_EVENT.fullmatch(text):
        yield Reason("bare_handler", "nothing but the name of an event handler", 0.7, excerpt(text))
    spaced = _SPACED_TAG.search(text)
    if spaced is not None:
        yield Reason("spaced_tag", "a tag with its letters apart", 0.7, excerpt(text, spaced.start(), spaced.end()))
    match = _LOOSE_EVENT.search(text)
    if match is not None:
        left = match.group()[0] in "\"'`/>" or not match.group("value").isalnum()
        yield Reason(
            "loose_handler",
            "an event handler outside a tag",
            0.8 if left else 0.6,
            excerpt(text, match.start(), match.end() + 20),
        )


def _code(text: str) -> Iterator[Reason]:
    yield from script_reasons(text)
    squeezed = _SQUEEZED.sub("", text)
    if squeezed != text:
        # Browsers skip white space and comments inside these two, and nowhere else.
        yield from script_reasons(squeezed, {"script_url", "style_code"})
    if left_literal(text):
        yield Reason("left_script_literal", "leaves a literal of a script and goes on with code", 0.4, excerpt(text))
    if only_symbols(text):
        yield Reason("symbols_only", "code written in brackets alone", 0.8, excerpt(text))


def xss_reasons(text: str) -> list[Reason]:
    """Return what in one reading of a text a browser would run; each kind of reason counts once."""
    if not _HINT.search(text):
        return []
    found: dict[str, Reason] = {}
    unescaped = plain(hex_decoded(escapes_decoded(text))).replace("\0", "")
    ways = [text, unescaped]
    if "\\" in text:
        ways.append(style_decoded(text))
    if _PARTED_LETTERS.search(text):
        ways.append(text.replace("'", "").replace('"', ""))
    for reason in _spelled(text):
        found[reason.code] = reason
    for reading in dict.fromkeys(ways):
        for reason in (*_markup(reading), *_handlers(reading), *_code(reading)):
            held = found.get(reason.code)
            if held is None or held.weight < reason.weight:
                found[reason.code] = reason
    return list(found.values())
