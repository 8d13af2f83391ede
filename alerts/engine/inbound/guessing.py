"""The generic reader: finds name, severity, state, labels and times in a payload nobody has described to it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from alerts.engine.inbound import fields, naming, shapes, words
from alerts.engine.inbound.keys import derived_key
from alerts.engine.inbound.moments import moment
from alerts.engine.inbound.told import (
    LONGEST_KEY,
    MOST_ALERTS,
    Hints,
    Reading,
    Status,
    Told,
    Unreadable,
    label_name,
    labels_of,
    text_of,
    texts_of,
    url_of,
)
from alerts.engine.inbound.walking import Leaf, Scalar, leaves, said
from alerts.engine.states import Severity

LISTS = ("alerts", "incidents", "events", "problems", "issues", "records", "notifications", "items", "data")
LONGEST_STATE = 60
LONGEST_LABEL_FOUND = 120
SHALLOW, FEW = 4, 2
ID_ENDS = ("id", "uuid", "guid", "key", "token", "hash", "url", "link", "href", "version")
NAME_RANK = {key: place for place, key in enumerate(fields.NAMES)}
Ranked = tuple[tuple[int, ...], Leaf]


def read(payload: Any, hints: Hints) -> Reading:
    """Return the alerts of a payload: of each item, where it is a list of them."""
    items = items_of(payload)
    if not items:
        raise Unreadable("The message is empty: there is nothing in it to make an alert of.")
    told = tuple(guessed(item, hints) for item in items[:MOST_ALERTS])
    over = len(items) - len(told)
    problems = (f"{over} more than {MOST_ALERTS} alerts in one message were left out",) if over else ()
    return Reading(alerts=told, problems=problems, reader="generic")


def items_of(payload: Any) -> list[Any]:
    """Return what of a payload is one alert each; what is said beside a list holds for each of its items."""
    if isinstance(payload, list):
        return [item for item in payload if isinstance(item, Mapping) and item]
    if not isinstance(payload, Mapping) or not payload:
        return []
    for name, inner in payload.items():
        if words.plain(str(name)) in LISTS and isinstance(inner, list) and inner and _are_alerts(inner):
            beside = {key: value for key, value in payload.items() if key != name}
            return [{**beside, **item} for item in inner]
    return [payload]


def _are_alerts(items: list[Any]) -> bool:
    """Say whether each item of a list bears a name of its own, so that it is an alert and no detail of one."""
    if not all(isinstance(item, Mapping) for item in items):
        return False
    titled = set(fields.NAMES[: NAME_RANK["text"]])
    telling = set(fields.STATUSES) | set(fields.SEVERITIES) | {"labels"}
    return all(
        {words.plain(str(key)) for key in item} & titled and {words.plain(str(key)) for key in item} & telling
        for item in items
    )


def guessed(payload: Mapping[str, Any], hints: Hints) -> Told:
    """Return the one alert of a payload."""
    found = leaves(payload)
    if not found:
        raise Unreadable("The message holds no value: every field is empty.")
    name_leaf = _name_leaf(found)
    title = name_leaf.text if name_leaf else "Alert"
    status, status_leaf = _status(found, title)
    severity_text, severity = _severity(found, status, status_leaf, title)
    labels = _labels(found, [leaf for leaf in (name_leaf, status_leaf) if leaf])
    name = naming.bare(title) or "Alert"
    return Told(
        name=name, status=status, severity=severity or hints.severity,
        severity_text=severity_text, labels=labels, annotations=_annotations(found, title),
        key=_key(found) or derived_key(name, labels), started_at=_time(found, fields.STARTED),
        ended_at=_time(found, fields.ENDED) if status is Status.RESOLVED else None, url=_url(found),
    )  # fmt: skip


def _best(found: Sequence[Leaf], keys: Sequence[str], fits: Callable[[Leaf], bool]) -> Leaf | None:
    """Return the leaf with the most telling key, and of these the one nearest the root."""
    rank = {key: place for place, key in enumerate(keys)}
    fitting = (leaf for leaf in found if leaf.key in rank and fits(leaf))
    return min(fitting, key=lambda leaf: (rank[leaf.key], leaf.depth), default=None)


def _aside(leaf: Leaf) -> bool:
    return any(parent in fields.ASIDE for parent in leaf.parents)


def _name_leaf(found: Sequence[Leaf]) -> Leaf | None:
    ranked = [pair for leaf in found if leaf.text for pair in _name_ranks(leaf)]
    return min(ranked, key=lambda pair: pair[0], default=(None, None))[1]


def _name_ranks(leaf: Leaf) -> Iterator[Ranked]:
    """Yield how good a name a leaf is: by its key, then by how little it looks like an address or a code."""
    poor = _poor_name(leaf.text)
    parent = leaf.parents[-1] if leaf.parents else ""
    if leaf.key in fields.NAME_PARTS and parent in fields.NAMED and not _aside_above(leaf):
        rank = NAME_RANK["description" if leaf.key == "description" else "policyname"]
        yield (poor, rank, leaf.depth, leaf.key != "name"), leaf
    if leaf.key in NAME_RANK and not _aside(leaf):
        places = leaf.key in fields.NAME_PARTS and parent in fields.PLACE_PARENTS
        deep = leaf.key == "name" and (leaf.depth > FEW or leaf.lists > 0)
        rank = NAME_RANK["servicename" if places else "displayname" if deep else leaf.key]
        yield (poor, rank, leaf.depth, 0), leaf


def _aside_above(leaf: Leaf) -> bool:
    return any(parent in fields.ASIDE for parent in leaf.parents[:-1])


def _poor_name(text: str) -> int:
    """Return 0 for words, 1 for a path, an address or a code, 2 for a number or JSON."""
    if text.startswith(("{", "[{")) or text.replace(".", "").replace("-", "").isdecimal():
        return 2
    if " " in text:
        return 0
    if text.startswith(("http://", "https://")) or text.count("/") > 1:
        return 1
    return int(len(text) >= 16 and sum(letter.isdecimal() for letter in text) > len(text) / 3)  # a hash


def _status(found: Sequence[Leaf], title: str) -> tuple[Status, Leaf | None]:
    """Return where it stands, by the clearest field that says so, else by the title, else firing: nobody sends calm."""
    if (coded := shapes.status_of(found)) is not None:
        return coded, None
    leaf = _best(found, fields.STATUSES, _says_status)
    if leaf is not None:
        return words.status_in(leaf.text) or Status.FIRING, leaf
    for leaf in found:
        if (status := _by_flag(leaf)) is not None and not _aside(leaf):
            return status, leaf
    over = _best(found, fields.SEVERITIES, lambda leaf: words.is_over(leaf.text))
    if over is not None:
        return Status.RESOLVED, over
    return _status_of_title(title, found), None


def _says_status(leaf: Leaf) -> bool:
    return (
        len(leaf.text) <= LONGEST_STATE
        and not leaf.text.replace(".", "").isdecimal()
        and not _aside(leaf)
        and words.status_in(leaf.text) is not None
    )


def _by_flag(leaf: Leaf) -> Status | None:
    """Return what a flag or its number says; a heartbeat's 1 is up, any other state's 0 is fine."""
    number = _flag(leaf.value)
    if number is None:
        return None
    if leaf.key in fields.TRUE_IS_FIRING:
        return Status.FIRING if number else Status.RESOLVED
    if leaf.key in fields.TRUE_IS_OVER:
        return Status.RESOLVED if number else Status.FIRING
    if leaf.key == "status" and "heartbeat" in leaf.parents:
        return Status.RESOLVED if number == 1 else Status.FIRING
    if leaf.key in ("state", "alertstate"):
        return Status.FIRING if number else Status.RESOLVED
    return None


def _flag(value: Scalar | tuple[Scalar, ...]) -> int | None:
    if isinstance(value, bool):
        return int(value)
    text = str(value).strip().lower()
    if text in ("true", "false"):
        return int(text == "true")
    return int(text) if text.isdecimal() and len(text) == 1 else None


def _status_of_title(title: str, found: Sequence[Leaf]) -> Status:
    """Return what the words of the title say; ended times count only where nothing else does."""
    texts = [title, *(leaf.text for leaf in found if leaf.key in fields.TEXTS and leaf.depth <= FEW)]
    for text in texts:
        line = " ".join(text.splitlines()[:1])
        heads = [line.partition(":")[0], line.partition("]")[0], " ".join(line.split()[-3:])]
        told = next((status for head in heads if len(head) <= LONGEST_STATE and (status := _clear(head))), None)
        if told:
            return told
    ended = _time(found, fields.ENDED)
    return Status.RESOLVED if ended else Status.FIRING


def _clear(text: str) -> Status | None:
    """Return the state a few words of prose tell beyond doubt."""
    known = {"resolved", "recovered", "cleared", "closed", "recovery", "ok", "solved", "restored"}
    spoken = set(words.tokens(text))
    return Status.RESOLVED if spoken & known and not spoken & {"not", "down", "to"} else None


def _severity(
    found: Sequence[Leaf], status: Status, status_leaf: Leaf | None, title: str
) -> tuple[str, Severity | None]:
    """Return the word that was said and what it means: of a severity field, else of the state, else of the title."""
    if (coded := shapes.severity_of(found)) is not None:
        return coded
    fitting = [leaf for leaf in map(_as_severity, found) if leaf is not None]
    leaf = _best(fitting, fields.SEVERITIES, lambda leaf: words.severity_in(leaf.text) is not None)
    if leaf is not None and not words.is_over(leaf.text):
        return leaf.text[:100], words.severity_in(leaf.text)
    if status is Status.RESOLVED:
        return "", None
    for text in (
        status_leaf.text if status_leaf else "",
        *(leaf.text for leaf in found if leaf.key in fields.STATUSES),
    ):
        if len(text) <= LONGEST_STATE and (by_state := words.by_state(text)):
            return text, by_state
    head = title.partition("]")[0].partition(":")[0] if title.startswith("[") or ":" in title else ""
    told = next((word for word in words.tokens(head) if words.by_state(word) and len(head) <= LONGEST_STATE), "")
    return told, words.by_state(told) if told else None


def _as_severity(leaf: Leaf) -> Leaf | None:
    """Return a leaf under the key that tells a severity: `severity.name` is a severity, `user.level` is none."""
    if leaf.key in fields.SEVERITIES:
        return leaf if not set(leaf.parents) & {"user", "users", "assignee", "thresholds", "breadcrumbs"} else None
    if leaf.parents and leaf.parents[-1] in fields.SEVERITIES and leaf.key in fields.SEVERITY_PARTS:
        return Leaf(leaf.path[:-1], leaf.value)
    tag = _tagged(leaf)
    return next((Leaf(("severity",), value) for name, value in tag if name in ("severity", "priority", "level")), None)


def _tagged(leaf: Leaf) -> list[tuple[str, str]]:
    """Return the pairs of `tags: ["env:prod"]` and of `tags: "env:prod, team:web"`."""
    if leaf.key not in fields.LABEL_MAPS:
        return []
    texts = leaf.value if isinstance(leaf.value, tuple) else str(leaf.value).split(",")
    return [_pair(str(text)) for text in texts if said(text)]


def _pair(text: str) -> tuple[str, str]:
    for mark in (":", "="):
        name, found, value = text.partition(mark)
        if found and name.strip() and value.strip() and not value.startswith("//"):
            return name.strip(), value.strip()
    return "", text.strip()


def _labels(found: Sequence[Leaf], used: Sequence[Leaf]) -> dict[str, str]:
    """Return labels: those that are called so, those that say where, and short texts where there are hardly any."""
    own = [pair for leaf in found for pair in _own_labels(leaf)]
    places = [(fields.PLACES[leaf.key], leaf.text) for leaf in found if _is_place(leaf) and leaf not in used]
    labels = labels_of([*own, *places])
    if len(labels) < FEW:
        rest = [leaf for leaf in found if leaf not in used and _is_short(leaf)]
        labels = labels_of([*labels.items(), *((_snake(leaf.path[-1]), leaf.text) for leaf in rest)])
    labels = labels or labels_of(
        pair for leaf in found if leaf.key in fields.TEXTS for pair in _written(str(leaf.value))
    )
    if not labels:
        labels = labels_of((_snake(leaf.path[-1]), leaf.text) for leaf in found if leaf.path and _is_id(leaf))
    return {name: value for name, value in labels.items() if words.plain(name) not in ("severity", "alertname")}


def _written(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a text of several lines says by the line: `Agent: web-1`, or `Agent Name web-1`."""
    lines = text.splitlines()
    for line in lines if len(lines) > FEW else ():
        name, colon, value = line.partition(":")
        if not colon:
            spoken = line.split()
            titled = all(word[0].isupper() and word.isalpha() for word in spoken[:-1])
            name, value = (" ".join(spoken[:-1]), spoken[-1]) if titled and spoken else ("", "")
        if 0 < len(name.split()) <= FEW and 0 < len(value.strip()) <= LONGEST_LABEL_FOUND:
            yield _snake(name), value


def _own_labels(leaf: Leaf) -> list[tuple[str, str]]:
    if leaf.key in fields.LABEL_MAPS:
        pairs = _tagged(leaf)
        loose = ",".join(sorted(value for name, value in pairs if not name))
        return [*((name, value) for name, value in pairs if name), *([(leaf.path[-1], loose)] if loose else [])]
    above = [place for place, parent in enumerate(leaf.parents) if parent in fields.LABEL_MAPS]
    if not above or len(leaf.text) > 4 * LONGEST_LABEL_FOUND:
        return []
    return [("_".join(leaf.path[above[-1] + 1 :]), leaf.text)]


def _is_place(leaf: Leaf) -> bool:
    foreign = {"user", "contexts", "request", "geo", "headers", "snapshots", "thresholds", "builder", "sdk"}
    return (
        leaf.key in fields.PLACES
        and leaf.depth <= SHALLOW
        and 0 < len(leaf.text) <= 2 * LONGEST_LABEL_FOUND
        and not leaf.text.startswith("{")
        and not set(leaf.parents) & foreign
    )


def _is_short(leaf: Leaf) -> bool:
    spoken = {
        *fields.NAMES[:-4],
        *fields.STATUSES,
        *fields.SEVERITIES,
        *fields.STARTED,
        *fields.ENDED,
        *fields.TEXTS,
        *fields.VALUES,
    }
    return (
        leaf.depth <= FEW
        and bool(leaf.text)
        and len(leaf.text) <= LONGEST_LABEL_FOUND
        and leaf.key not in spoken
        and not leaf.key.endswith(ID_ENDS)
        and not _aside(leaf)
        and not leaf.text.replace(".", "").isdecimal()
        and moment(leaf.text) is None
    )


def _is_id(leaf: Leaf) -> bool:
    fits = leaf.depth <= FEW and 0 < len(leaf.text) <= LONGEST_LABEL_FOUND and leaf.key.endswith(("id", "key", "type"))
    return fits and words.status_in(leaf.text) is None


def _snake(name: str) -> str:
    return "_".join(words.tokens(label_name(name))) if not name.isupper() else label_name(name.lower())


def _annotations(found: Sequence[Leaf], title: str) -> dict[str, str]:
    told: dict[str, object] = {"summary": title}
    longest = _best(found, fields.TEXTS, lambda leaf: not _aside(leaf) and len(leaf.text) > 1 and leaf.text != title)
    if longest is not None:
        told["description"] = longest.text
    if runbook := _best(found, fields.RUNBOOKS, lambda leaf: bool(url_of(leaf.text))):
        told["runbook_url"] = runbook.text
    if value := next(
        (leaf for leaf in found if leaf.key in fields.VALUES and not _aside(leaf) and _is_number(leaf)), None
    ):
        told["value"] = value.text
    for leaf in found:
        if leaf.parents[-1:] in (("annotations",), ("commonannotations",)):
            told.setdefault(leaf.path[-1], leaf.text)
    return texts_of(told)


def _is_number(leaf: Leaf) -> bool:
    return leaf.text.lstrip("+-").replace(".", "", 1).rstrip("%").isdecimal()


def _key(found: Sequence[Leaf]) -> str:
    """Return the sender's own key; an id that may be a rule's or a message's is none."""
    leaf = _best(found, fields.KEYS, lambda leaf: not _aside(leaf) and len(leaf.text) > 1)
    return text_of(leaf.text, LONGEST_KEY) if leaf else ""


def _time(found: Sequence[Leaf], keys: Sequence[str]) -> datetime | None:
    leaf = _best(found, keys, lambda leaf: moment(leaf.text) is not None)
    return moment(leaf.text) if leaf else None


def _url(found: Sequence[Leaf]) -> str:
    leaf = _best(found, fields.URLS, lambda leaf: bool(url_of(leaf.text)) and leaf.depth <= SHALLOW)
    return url_of(leaf.text) if leaf else ""
