"""Command injection: a shell's separators with a command behind them, substitutions, and calls that run programs."""

import re
from collections.abc import Iterator

from aivillage_observability.scoring.hidden import hidden_reasons
from aivillage_observability.scoring.score import Reason, excerpt
from aivillage_observability.scoring.server import server_reasons
from aivillage_observability.scoring.windows import windows_reasons

# Words that are hardly anything but commands; short ones that may end a line; English ones that must have an argument.
_COMMANDS = (
    "ls|ping6?|whoami|uname|wget|curl|netcat|ncat|bash|zsh|ksh|csh|tcsh|python[23]?|perl|ruby|php|ipconfig|ifconfig|chmod|chown"
    "|nslookup|tftp|telnet|powershell|systeminfo|tasklist|printenv|xterm|gcc|crontab|nohup|traceroute|netstat|tracert|nmap"
    "|cmd\\.exe|rm|mkdir|rmdir|pwd|getent|usleep|sudo|sed|awk|grep|socat|lsof|msfvenom|certutil|bitsadmin|wmic|taskkill"
)
_SHORT = "id|cat|sleep|dir|sh|nc|ps|hostname|ver|env|true|false|echo|tac|reboot"
_ENGLISH = (
    "type|net|find|more|less|head|tail|which|kill|mail|sort|cut|touch|host|date|set|cp|mv|reg|copy|del|nl|od|dig|df|du|cmd"
    "|start|eval|exec|test|printf|ftp|man|timeout|time"
)
_PATH = r"(?:[\w.*?/\\:-]{0,40}[/\\])?"
_LEAD = r"(?:[;|&]|\$\(|\|\||&&)\s{0,4}[\"'\\]?"
# A pipe must follow at once: with a space before it, it is a column of a table in prose.
_STOP = r"(?=\||\s{0,4}(?:$|[;&`'\"#>\n\x00]))"
_ARGUMENT = r"\s{1,4}(?:[-/\\$\d~]|\*\.|\.\.|[\"']?\w:|\S{1,60}\.(?:txt|ini|conf|php|exe|sh|log)\b)"
_CALLED = rf"(?:(?-i:{_SHORT})(?:\.exe)?(?:{_STOP}|{_ARGUMENT})|(?-i:{_ENGLISH})(?:\.exe)?{_ARGUMENT})"
_QUIET = rf"`\s?(?:{_COMMANDS}|{_SHORT}|{_ENGLISH})\b[^`]{{0,80}}`"

_HINT = re.compile(r"[|;&'\"^`$(/\\<\n {%\[#]|\w\.\w|^rO0")

_SHAPES = tuple(
    (code, text, weight, re.compile(pattern, re.IGNORECASE))
    for code, text, weight, pattern in (
        (
            "chained_command",
            "a command behind a shell's separator",
            0.8,
            (
                rf"{_LEAD}{_PATH}(?:(?-i:{_COMMANDS})(?:\.exe)?(?![\w=.:-])|{_CALLED})|(?:[\r\n]|\\[nr])\s?(?:/\S{{0,40}}/)?(?:(?-i:{_COMMANDS})|id|cat)"
                rf"(?:{_STOP}|{_ARGUMENT})"
            ),
        ),
        (
            "program_path",
            "the path of a program of the system",
            0.7,
            (
                r"(?:^|[\s;|&`'\"(=,+]|\\[nrt])/{1,2}(?:usr/{1,2})?(?:local/)?s?bin/{1,2}\w|\b(?:cmd|powershell|command)\.(?:exe|com)\b|/system32/"
                r"|\\system32\\"
            ),
        ),
        (
            "command_line",
            "a command with its arguments",
            0.7,
            (
                r"(?:^|[\s;|&`+(])(?:ping(?:\.exe)?\s{1,4}-[cnwti]\s{1,4}\d|dir\s{1,4}[c-z]:|rm\s{1,4}-[rf]|wget\s{1,4}-?\S{0,20}\s{0,4}https?:"
                r"|curl\s{1,4}-?\S{0,20}\s{0,4}https?:|net\s{1,4}(?:user|view|localgroup|share)\b|nc\s{1,4}-\w|chmod\s{1,4}[+\d]|uname\s{1,4}-a"
                r"|cat\s{1,4}/|type\s{1,4}\S{0,80}\.(?:ini|txt|config)|bash\s{1,4}-[ic]|sh\s{1,4}-[ic]|sleep\s{1,4}\d{1,3}\s?[;|&`]|id\s?;|ls\s{1,4}-l"
                r"|echo\s{1,4}\S{1,80}\s?>|find\s{1,4}/\s)"
            ),
        ),
        (
            "substitution",
            "a shell's substitution",
            0.7,
            (
                rf"\$\(\s?(?:{_COMMANDS}|{_SHORT}|{_ENGLISH})\b|\$\{{IFS\}}|\$IFS\b|\$\{{?SHELL\b|^\s?[\"']?{_QUIET}[\"']?$|[^\s`(|]{_QUIET}|<\(\s?\w|/dev/(?:tcp|udp)/"
                r"|>\s?/dev/null|2>&1|&>/"
            ),
        ),
        (
            "mail_command",
            "a command of another protocol behind a line break",
            0.7,
            (
                r"[\r\n]\s?(?:mail from:|rcpt to:|(?:ehlo|helo)\s\S"
                r"|(?-i:RETR|DELE|TOP|APOP|LIST|UIDL)\s\w|(?-i:A\d{1,4}\s[A-Z]{4}))"
            ),
        ),
    )
)


def command_reasons(text: str) -> list[Reason]:
    """Return what in one reading of a text a shell or a server would run."""
    return list(_found(text)) if _HINT.search(text) else []


def _found(text: str) -> Iterator[Reason]:
    for code, what, weight, pattern in _SHAPES:
        match = pattern.search(text)
        if match is not None:
            yield Reason(code, what, weight, excerpt(text, match.start(), match.end() + 20))
    yield from server_reasons(text)
    yield from windows_reasons(text)
    yield from hidden_reasons(text)
