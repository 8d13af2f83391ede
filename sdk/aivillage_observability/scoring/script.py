"""JavaScript and CSS in a value: what calls, reads or loads where only data belongs."""

import re
from collections.abc import Container, Iterator

from aivillage_observability.scoring.score import Reason, excerpt

# Windows are bounded and neighbours differ, so every pattern is linear.
_PATTERNS = tuple(
    (code, text, weight, re.compile(pattern, re.IGNORECASE))
    for code, text, weight, pattern in (
        (
            "dialog_call",
            "calls a dialog, the usual proof of a script that runs",
            0.7,
            r"(?:(?<!\w)|script)(?:alert|confirm|prompt)\s?(?:\?\.)?\(|(?<![\w`])(?:alert|confirm|prompt)\s?(?:\?\.)?`|(?<![\w])(?:alert|confirm|prompt)\s?/\*",
        ),
        (
            "dialog_reference",
            "hands over a dialog to be called",
            0.7,
            (
                r"[=:]\s?(?:alert|confirm|prompt|eval)(?:[;,&}\]/'\"]|$)|=\s?(?:alert|confirm|prompt|eval)\s|\$\{\s?(?:alert|confirm|prompt|eval|name)\s?\}"
                r"|throw\s{1,4}\d|[\w\])}'\"],\s?(?:alert|confirm|prompt|eval)\s?\)|(?:[\])}'\"]\s?,|\([^()\s]{0,20},)(?:alert|confirm|prompt|eval)\s?,|__define[gs]etter__|\[\s?['\"]?\d*['\"]?\s?\]\s?\.\s?(?:map|sort|find|filter|some|every)\s?(?:\.\s?call\s?)?[(`]"
            ),
        ),
        (
            "page_access",
            "reads or changes the page",
            0.7,
            (
                r"\bdocument\s?(?:\.|\?\.|\[)\s?['\"]?(?:cookie|domain|write|location|body|documentelement|createelement|url"
                r"|forms|images|title|getelement|queryselector|baseuri|referrer|vulnerable|all\b)"
                r"|\bwindow\s?(?:\.|\[)\s?['\"]?(?:location|name|open|onerror|alert|eval|atob|document)"
                r"|\b(?:window|top|self|parent|this|frames|globalthis)\s?\[\s?['\"`(!/+~]|\blocation\s?(?:=|\.\s?(?:href|hash|replace|assign|search))"
                r"|\.(?:innerhtml|outerhtml|insertadjacenthtml|textcontent)\s?[=+(]|\bnavigation\.navigate|\bcookiestore\b"
                r"|\b(?:inner|outer)html\s?=|\bcreateelement\s?\(|\bgetelementsby|script\s?document\.|\bwith\s?\(\s?document"
                r"|\bnavigator\.(?:vibrate|sendbeacon|useragent)|\bexternal\.navigate"
            ),
        ),
        (
            "code_call",
            "builds or runs code",
            0.7,
            (
                r"\beval\s?[(`.]|\bexecscript\s?\(|\bstring\s?[.\[]\s?['\"]?fromcharcode|\bsettimeout\s?[(`]|\bsetinterval\s?[(`]"
                r"|\bfunction\s?\(\s?['\"]|\bconstructor\s?[.(`\[]|\b(?:reflect|object)\.(?:apply|construct|definepropert|assign)"
                r"|\bimport\s?\(|\bunescape\s?\(|\batob\s?[(`]|\bxmlhttprequest\b|\bnew\s{1,4}(?:image|function|activexobject)\b"
                r"|\bfetch\s?\(\s?['\"`]|\$\.get(?:script|json)\b|\bexpression\s?\(|__proto__|\bwindow\.open\s?\("
            ),
        ),
        (
            "script_url",
            "an address that is code",
            0.7,
            (
                r"(?:java|vb|live|ecma|j)script\s?:(?=\s?[^\s\w]|\S|$)|\bvbs\s?:|\bmocha\s?:"
                r"|\bdata\s?:\s?(?:[\w/+.-]{0,40}(?:;[\w=-]{0,40}){0,3};?base64,|text/(?:html|javascript|xml)|image/svg|,\s?<)"
                r"|\bfeed:javascript|\bview-source:|\bwyciwyg:|\bresource://"
            ),
        ),
        (
            "style_code",
            "a style that loads or runs code",
            0.7,
            (
                r"\bexpre(?:/\*[^*]{0,40}\*/|\\){0,2}ssion\s?\(|-moz-binding\s?:|\bbehaviou?r\s?:\s?url|@import\s{0,4}['\"(\\u]"
                r"|url\s?\(\s?['\"]?\s?(?:java|vb)script|\b(?:-o-link|xss)\s?:\s?expr|\bstyle\s?=\s?['\"]?[^'\">]{0,80}\\[0-9a-f]{2,6}"
            ),
        ),
        (
            "template_code",
            "code in a template's brackets",
            0.7,
            (
                r"\{\{[^{}]{0,120}(?:constructor|\$eval|\$on\b|alert|\.call\(|toString\(|\d\s?\*\s?\d|config|self\.|request\.)"
                r"|<%=?\s?[\w(]|\$\{\s?\d{1,6}\s?\*\s?\d|\$\{\s?(?:T\(|runtime|class\.)|\bng-(?:app|csp|init|focus|click)\b"
            ),
        ),
        ("utf_seven", "a tag written in UTF-7", 0.8, r"\+ADw-?|\+AD4-|(?:[\xbc\xba\xfb\ufffd]|1\u20444)/?script|&ADz&"),
        (
            "style_rule",
            "leaves a style rule and begins another",
            0.7,
            r"^[^{}<]{0,60}\}\s{0,4}[*.#\w\[][^{}]{0,60}\{\s?[\w-]{2,30}\s?:|^\s{0,4}\{\s{0,4}\}[^{}]{1,40}\{\s?[\w-]{2,30}\s?:",
        ),
        (
            "joined_pieces",
            "builds code from pieces of text",
            0.7,
            (
                r"(?:\b\w{1,8}\s?=[^;='\"]{0,12}['\"][^;]{0,40};\s?){2}|\?\s?['\"]?(?:\w{0,8}\\){1,8}\w{0,8}['\"]?\s?:|/\w{1,12}/\s?\.source\s?\+?"
                r"|\w{1,8}=/\w{1,12}/\s?\.source"
            ),
        ),
        ("script_entity", "a script entity of old browsers", 0.7, r"&\{[^}]{1,100}\}"),
        (
            "entity_declaration",
            "declares entities or instructions of a document",
            0.8,
            r"<!ENTITY|<!DOCTYPE\s{1,4}\w{1,40}\s{0,4}\[|<\?xml-stylesheet|<\?import|<!\[CDATA\[",
        ),
    )
)
# Without one of these code_call cannot match, and looking for them is much quicker.
_CALL_NEEDS = (
    "(",
    "`",
    "[",
    "eval.",
    ".get",
    "string",
    "constructor",
    "reflect",
    "object",
    "xmlhttp",
    "new",
    "__proto__",
)
_CODES = frozenset(code for code, _, _, _ in _PATTERNS)
_LEFT = re.compile(r"""["'`)\]}]\s{0,4}[;,+\-*/|&?:%^<>=]{1,3}\s{0,4}(?:\w{1,40}\s?[.(\[`=]|\(|\[|`|/\w)""")
_COMMENT_END = re.compile(r"""(?://|<!--|/\*|;|['"`+-])\s{0,4}$""")
_SYMBOLS = frozenset("[]()!+{}$_-~'\"\\/=;,.<>|&^%*:")


def script_reasons(text: str, only: Container[str] = _CODES) -> Iterator[Reason]:
    """Yield what of a script or style is in a value."""
    lowered = text.lower()
    for code, what, weight, pattern in _PATTERNS:
        needed = code != "code_call" or any(part in lowered for part in _CALL_NEEDS)
        match = pattern.search(text) if needed and code in only else None
        if match is not None:
            yield Reason(code, what, weight, excerpt(text, match.start(), match.end() + 20))


def left_literal(text: str) -> bool:
    """Return whether the text leaves a literal of a script and goes on with code."""
    return _LEFT.search(text) is not None and _COMMENT_END.search(text) is not None


def only_symbols(text: str) -> bool:
    """Return whether the text is code written in brackets and signs alone, as `[][(![]+[])]`."""
    packed = text.replace(" ", "")
    if len(packed) < 4 or "[" not in packed or "!" not in packed:
        return False
    return all(sign in "[]()!+" for sign in packed[:4000])
