"""Command lines of Windows: loops and conditions of its shell, PowerShell's verbs, variables cut into letters."""

import re
from collections.abc import Iterator

from aivillage_observability.scoring.score import Reason, excerpt

_DONE = r"\(?@?(?:echo|goto|cmd|set|cd|call|type|copy|del|exit|start|move|ren|foo|\.\.\.)\b"
_IF = r"\bif(?:\s{1,16}|(?=/))(?:/i\s{1,16})?(?:not\s{1,16})?"
_NOUNS = (
    "webrequest|expression|command|object|item(?:property)?|content|process|service|childitem|location|wmiobject|ciminstance"
    "|restmethod|eventlog|aduser|host|module|executionpolicy|job|acl|credential|history|variable|computer\\w{0,6}|netipaddress"
    "|bitstransfer|pssession|localuser|scheduledtask|clipboard|member|random|hotfix|psdrive"
)
_SHAPES = tuple(
    (code, text, weight, re.compile(pattern, re.IGNORECASE))
    for code, text, weight, pattern in (
        (
            "batch_loop",
            "a loop of the Windows shell",
            0.8,
            r"\bfor\s[^\n%]{0,80}%{1,2}\S{0,12}\s{1,8}in\s{0,8}\([^)]{0,200}+\)\s{0,12}@?do\b",
        ),
        (
            "batch_condition",
            "a condition of the Windows shell",
            0.8,
            (
                rf"{_IF}(?:exist\s{{1,16}}\S{{0,80}}[.\\:]|exist\s{{1,16}}\w{{1,40}}\s{{1,16}}(?:{_DONE}|\()|errorlevel\s{{1,16}}\d|cmdextversion\s{{1,16}}\d"
                rf"|defined\s{{1,16}}\S{{1,40}}\s{{1,16}}(?:{_DONE}|\())"
                rf"|{_IF}[^\n=]{{1,60}}?(?:\b(?:equ|neq|lss|leq|gtr|geq)\s{{1,8}}\S|={{2,3}}[^\n]{{1,60}}?[\s)\"]{_DONE})"
                rf"|{_IF}[\"'\[({{]{{0,2}}(?:A)?%\w{{1,20}}[^\n=]{{0,20}}==|{_IF}(?:/i\s{{1,16}})\S{{1,40}}==\S|\bif/i\s\S{{1,40}}=="
                rf"|{_IF}[(\[\"][\w ]{{1,20}}[)\]\"]\s?==\s?[(\[\"]"
            ),
        ),
        (
            "powershell_call",
            "a command of PowerShell",
            0.7,
            (
                rf"\b(?:invoke|get|set|new|start|stop|remove|out|import|export|add|write|read|select|where|foreach|test|copy|move|clear|enter)-(?:{_NOUNS})\b"
                r"|[;|&]\s{0,4}(?:iwr|iex|irm|gci|gwmi|saps|icm)\b|\s-e(?:nc|ncodedcommand|c)\s{1,4}[\w+/=]{16}|\s-w(?:indowstyle)?\s{1,4}hidden\b"
                r"|\bnet\.webclient\b|\.downloadstring\s?\("
            ),
        ),
        ("cut_variable", "letters cut out of a Windows variable", 0.8, r"%\w{2,30}:~-?\d{1,3}(?:,-?\d{1,3})?%"),
        (
            "windows_variable",
            "a variable of the Windows shell",
            0.4,
            r"%(?:comspec|systemroot|windir|programfiles|appdata|userprofile|pathext)%",
        ),
    )
)


def windows_reasons(text: str) -> Iterator[Reason]:
    """Yield what of a command line of Windows is in a value."""
    for code, what, weight, pattern in _SHAPES:
        match = pattern.search(text)
        if match is not None:
            yield Reason(code, what, weight, excerpt(text, match.start(), match.end() + 20))
