"""What an error says in one line, and which errors are the same one again. Pure."""

import re

LONGEST_HEADLINE = 200
_CHANGING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+(?:\.\d+)?|'[^']*'|\"[^\"]*\"|/[\w./-]+", re.IGNORECASE)  # noqa: TID251
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning|Failure)\b.*")  # noqa: TID251


def headline(error: str) -> str:
    """Return the line of a stack that names the exception, or the first line of what is no stack."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    if not lines:
        return ""
    stack = lines[0].startswith("Traceback")
    raised = [line for line in lines if _RAISED.match(line)]
    return (raised[-1] if raised else lines[-1] if stack else lines[0])[:LONGEST_HEADLINE]


def signature(error: str) -> str:
    """Return what two failures of one cause share: the headline without numbers, addresses, names and paths."""
    return _CHANGING.sub("#", headline(error)).lower()


def last_frame(error: str) -> str:
    """Return where a Python stack ends, as "file:line"; empty where there is no stack."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', error)
    return f"{frames[-1][0]}:{frames[-1][1]}" if frames else ""
