"""Path traversal: ways out of a directory, and files nobody asks for by accident."""

import re
from collections.abc import Iterator

from aivillage_observability.scoring.addresses import address_reasons
from aivillage_observability.scoring.score import Reason, excerpt

_UP = re.compile(r"""(?:^|[\\/=:;\s"'(,|?&%\x00])\.\.;?(?=[\\/%])""")
_UP_END = re.compile(r"[\\/]\.\.;?(?:$|[\x00?#\"'{])")
_DOTS = re.compile(r"[\\/]\.{3,400}+[\\/{]|\.{4,400}+[\\/]{1,2}|\.\.[\\/]{2}|[\\/]\.{2,400}+\{")
_HERE = re.compile(r"[\\/]{1,4}\.[\\/]{1,4}\.{1,2}[\\/]|^[\\/]{1,4}\.[\\/]|^/{3,}\{?\w")
# Dots and slashes need no encoding; whoever spells them so means to get past a filter.
_SPELLED = re.compile(
    r"(?:%(?:25|%32%35)*+(?:2e|%32(?:%65|e))|%u002e|%(?:25)*+c0%(?:25)*+ae|0x2e){2}|(?:\.\.|%2e)%(?:25)*+(?:c0%(?:25)*+af|c1%(?:25)*+9c)"
    r"|\.\.%25|\.\.%(?:2f|5c)|%25(?:25)*+(?:2f|5c)|0x5c0x2e",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"(?:^|[\\/])(\w)\1{199}|^\.{16,400}+\w|[^\s{\\/]\{file\}|^/?(\w)\2*+\{file\}|[\\/.]{3}\{file\}", re.IGNORECASE
)
_HIDDEN_FOLDER = re.compile(
    r"(?:^|/)\.(?!github/|gitlab/|vscode/|circleci/)[a-z][\w-]{1,20}[\\/](?:[\w.-]{1,40}[\\/])?(?:config|settings|credentials?|secrets?|mcp|hooks"
    r"|rules|history|tokens?|auth|environment|plugins|agents)\b"
    r"|(?:^|[\\/])\.(?:\w{0,12}_?history|netrc|pgpass|npmrc|pypirc|dockercfg|s3cfg|DS_Store|(?:svn|hg|git|bzr)/\w|env(?:\.\w{1,12})?$|\w{1,8}_(?:profile|rc)$)",
    re.IGNORECASE,
)
_KERNEL = re.compile(r"^/(?:sys|proc)/\w")
_SECRET = re.compile(
    r"(?:^|[\\/:\s\"'=(>])(?:etc[\\/]+(?:\./|\.\\){0,8}(?:passwd|shadow|hosts|group|issue|fstab|motd|sudoers|master\.passwd|security)\b"
    r"|(?:windows|winnt)[\\/]+(?:system|win\.ini|repair|php\.ini|my\.ini)|boot\.ini|win\.ini|system\.ini"
    r"|web-inf\b|meta-inf\b|proc[\\/]+(?:self|version|cpuinfo|\d+)|\.htaccess|\.htpasswd|\.git[\\/]+(?:config|head)"
    r"|\.ssh[\\/]+\w|id_rsa\b|\.bash_history|wp-config\.php|conf[\\/]+(?:server|tomcat-users)\.xml|httpd\.conf|access_log\b"
    r"|error_log\b|autoexec\.bat|config\.sys|\.aws[\\/]+credentials)",
    re.IGNORECASE,
)
_SCHEME = re.compile(
    r"\b(?:file:/|php://|phar://|expect://|zip://|compress\.\w{2,8}://|gopher://|dict://|ldap://|jar:(?:https?|file|ftp):|netdoc:)",
    re.IGNORECASE,
)
_SETTINGS = re.compile(r"(?:^|[\\/])(?:etc|var[\\/]+(?:log|mail|run|spool))[\\/]+\w", re.IGNORECASE)
_NUL = re.compile(r"[\w./\\]\x00(?:$|[.\w])")
_INNER_DRIVE = re.compile(r"/[a-z]:[\\/]?(?:windows|winnt|boot)", re.IGNORECASE)
_DRIVE = re.compile(r"(?:^|[=\s\"'+|])[a-z]:[\\/]{1,2}(?:windows|winnt|boot|program|users|inetpub)?", re.IGNORECASE)


def spelled_reasons(text: str) -> Iterator[Reason]:
    """Yield how the text as it came hides dots and slashes, which need no encoding."""
    match = _SPELLED.search(text)
    if match is not None:
        yield Reason(
            "spelled_dots", "dots or slashes spelled so that a filter misses them", 0.3, excerpt(text, match.start())
        )


def path_reasons(text: str) -> list[Reason]:
    """Return what in one reading of a text leads out of its directory."""
    return list(_found(text)) if any(sign in text for sign in "./\\:") else []


def _found(text: str) -> Iterator[Reason]:
    for code, sign in (("0x2e", "."), ("0x2f", "/"), ("0x5c", "\\"), ("0x2E", "."), ("0x2F", "/"), ("0x5C", "\\")):
        text = text.replace(code, sign)
    ups = sum(1 for _, _ in zip(_UP.finditer(text), range(20), strict=False))
    ups += 1 if _UP_END.search(text) else 0
    match = _UP.search(text) or _UP_END.search(text)
    if match is not None:
        weight = 0.8 if ups > 1 else 0.5
        yield Reason("parent_directory", f"goes up {ups} directories", weight, excerpt(text, match.start()))
    yield from address_reasons(text)
    match = _HIDDEN_FOLDER.search(text)
    if match is not None:
        outside = text[:1] in "/." and "\n" not in text
        yield Reason(
            "hidden_file", "a hidden file of settings or secrets", 0.7 if outside else 0.4, excerpt(text, match.start())
        )
    for code, what, weight, pattern in _SHAPES:
        match = pattern.search(text)
        if match is not None:
            yield Reason(code, what, weight, excerpt(text, match.start(), match.end() + 20))


_SHAPES = (
    ("dotted_segments", "hides the way up in dots and slashes", 0.7, _DOTS),
    ("empty_segments", "segments that mean nothing, to get past a filter", 0.7, _HERE),
    ("secret_file", "a file of the system or of a server's configuration", 0.7, _SECRET),
    ("local_scheme", "an address that reads local files or speaks other protocols", 0.7, _SCHEME),
    ("cut_name", "a NUL that cuts off the rest of a file name", 0.5, _NUL),
    ("filler", "padding or a placeholder where a name belongs, as scanners send", 0.7, _FILLER),
    ("kernel_file", "a file in which the kernel tells of itself", 0.7, _KERNEL),
    ("settings", "a place where a system keeps its settings or logs", 0.4, _SETTINGS),
    ("inner_drive", "a Windows drive inside a path", 0.7, _INNER_DRIVE),
    ("drive", "a path on a Windows drive", 0.2, _DRIVE),
)
