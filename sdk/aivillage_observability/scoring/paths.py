"""Path traversal: ways out of a directory, and files nobody asks for by accident."""

import re
from collections.abc import Iterator

from aivillage_observability.scoring.score import Reason, excerpt

_UP = re.compile(r"""(?:^|[\\/=:;\s"'(,|?&%\x00])\.\.;?(?=[\\/%])""")
_UP_END = re.compile(r"[\\/]\.\.;?(?:$|[\x00?#\"'{])")
_DOTS = re.compile(r"[\\/]\.{3,400}+[\\/{]|\.{4,400}+[\\/]{1,2}|\.\.[\\/]{2}|[\\/]\.{2,400}+\{")
_HERE = re.compile(r"[\\/]{1,4}\.[\\/]{1,4}\.{1,2}[\\/]|^[\\/]{1,4}\.[\\/]")
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
_DRIVE = re.compile(r"(?:^|[=\s\"'+|])[a-z]:[\\/]{1,2}(?:windows|winnt|boot|program|users|inetpub)?", re.IGNORECASE)


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
    ("settings", "a place where a system keeps its settings or logs", 0.4, _SETTINGS),
    ("drive", "a path on a Windows drive", 0.2, _DRIVE),
)
