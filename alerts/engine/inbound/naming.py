"""Names of alerts: what is left of a title without the words that say where it stands."""

from alerts.engine.inbound.told import LONGEST_NAME
from alerts.engine.inbound.words import STATUSES, tokens
from alerts.engine.severity import SYNONYMS

MOST_WORDS = 3
# How an episode begins and ends, not what the trouble is: "Shop is down" keeps its end, "Shop has recovered" does not.
_LIFECYCLE = frozenset(
    [
        "resolved",
        "recovered",
        "recovery",
        "cleared",
        "closed",
        "triggered",
        "firing",
        "fired",
        "alerting",
        "opened",
        "reopened",
        "retriggered",
        "restored",
        "ok",
        "solved",
        "acknowledged",
        "ended",
        "problem",
    ]
)
_LINKS = frozenset(
    ("is", "has", "was", "been", "are", "now", "again", "back", "manually", "auto", "automatically", "the")
)


def bare(title: str) -> str:
    """Return a title without its state, so that the news of the end bears the same name as that of the beginning."""
    line = " ".join(title.strip().splitlines()[:1]).strip()
    name = _without_tail(_without_head(line)).strip(" -–—:|")
    return (name or line)[:LONGEST_NAME]


def root(name: str) -> str:
    """Return what two reports of one trouble have in common: the name without any word of where it stands."""
    return " ".join(
        word for word in tokens(name) if word not in STATUSES and word not in SYNONYMS and word not in _LINKS
    )


def _telling(text: str) -> bool:
    """Say whether a few words say nothing but where something stands or how bad it is."""
    words = [word for word in tokens(text) if not word.isdecimal()]
    telling = [word for word in words if word in STATUSES or word in SYNONYMS]
    return bool(telling) and len(words) <= MOST_WORDS and all(word in telling or word in _LINKS for word in words)


def _without_head(line: str) -> str:
    while line:
        line = line.lstrip(" -–—:|*#") if not line[:1].isalnum() and line[:1] not in "[({<\"'/$%" else line
        if line[:1] and ord(line[0]) > 0x2000 and not line[0].isalnum():  # signs and pictures
            line = line[1:].lstrip()
            continue
        shorter = _one_head_less(line)
        if shorter == line:
            break
        line = shorter
    return line


def _one_head_less(line: str) -> str:
    if line.startswith("["):
        inner, bracket, rest = line[1:].partition("]")
        first = tokens(inner)[:1]
        if bracket and rest.strip() and first and (first[0] in STATUSES or first[0] in SYNONYMS):
            return rest.strip()
    head, colon, rest = line.partition(":")
    if colon and rest.strip() and not rest.startswith("/") and _telling(head):
        return rest.strip()
    return line


def _without_tail(line: str) -> str:
    for mark in (" - ", " | ", ": ", " – "):
        head, found, tail = line.rpartition(mark)
        if found and head.strip() and _tail_tells(tail):
            return head.strip()
    words = line.split()
    for count in (3, 2):
        last = words[-count:]
        if len(words) > count and last[0].lower() in ("is", "has", "was", "are") and _lifecycle(last):
            return " ".join(words[:-count])
    return line


def _lifecycle(tail: list[str]) -> bool:
    words = tokens(" ".join(tail))
    return any(word in _LIFECYCLE for word in words) and all(word in _LIFECYCLE or word in _LINKS for word in words)


def _tail_tells(tail: str) -> bool:
    before, arrow, after = tail.replace("→", "->").partition("->")
    return _telling(after) and (not before.strip() or _telling(before)) if arrow else _telling(tail)
