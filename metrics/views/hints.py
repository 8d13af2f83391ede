"""What to say of a query that fails or answers nothing: where the mistake is, and what was probably meant."""

import difflib
from dataclasses import dataclass
from typing import Any

from metrics import selectors
from metrics.promql.paths import quoted
from metrics.promql.questions import selectors_of
from metrics.promql.types import Matcher, QueryError

MOST_COMPARED = 20_000


@dataclass(frozen=True, slots=True)
class Hint:
    """Why nothing was found, and the query that was probably meant."""

    text: str
    near: str = ""
    query: str = ""


def error_view(query: str, error: QueryError) -> dict[str, Any]:
    """Return an error with its place below the line it is in."""
    at = error.position
    if at is None or at > len(query):
        return {"text": str(error), "kind": error.kind, "caret": None}
    start = query.rfind("\n", 0, at) + 1
    line = query[start:].split("\n", 1)[0].replace("\t", " ")
    return {"text": str(error), "kind": error.kind, "caret": line + "\n" + " " * (at - start) + "^"}


def _near(word: str, known: list[str]) -> str:
    found = difflib.get_close_matches(word, known[:MOST_COMPARED], n=1)
    return found[0] if found else ""


def hint_on(query: str) -> Hint:
    """Say which name or label value of a query that answers nothing is unknown, and what is close to it."""
    for matchers in selectors_of(query):
        hint = _on_selector(query, matchers)
        if hint is not None:
            return hint
    return Hint("Metric and labels exist, but no sample lies in this range, or the condition holds for none.")


def _on_selector(query: str, matchers: tuple[Matcher, ...]) -> Hint | None:
    exact = [matcher for matcher in matchers if matcher.op == "=" and matcher.value]
    named = [matcher for matcher in exact if matcher.name == "__name__"]
    for matcher in named:
        known = selectors.metric_names()
        if matcher.value not in known and f"{matcher.value}_bucket" in known:
            parts = f"{matcher.value} is a classic histogram: its parts end in _bucket, _sum and _count."
            return Hint(parts, f"{matcher.value}_bucket", _replaced(query, matcher.value, f"{matcher.value}_bucket"))
        if matcher.value not in known:
            near = _near(matcher.value, known)
            return Hint(f"No metric is called {matcher.value}.", near, _replaced(query, matcher.value, near))
    for matcher in exact:
        hint = None if matcher in named else _on_label(query, matcher, named)
        if hint is not None:
            return hint
    if len(matchers) > len(named) and not selectors.series_matching([matchers], limit=1):
        return Hint("Each of these labels and values exists, but no series has all of them.")
    return None


def _on_label(query: str, matcher: Matcher, named: list[Matcher]) -> Hint | None:
    of = f"{named[0].value} " if named else ""
    here = selectors.label_values(matcher.name, [named])
    if matcher.value in here:
        return None
    if here:
        near = _near(matcher.value, here)
        return Hint(f"{of}label {matcher.name} exists, its value {matcher.value} does not.", near,
                    _replaced(query, quoted(matcher.value), quoted(near) if near else ""))  # fmt: skip
    near = _near(matcher.name, selectors.label_names([named]))
    return Hint(f"{of or 'No series '}{'has no' if of else 'has a'} label {matcher.name}.", near,
                _replaced(query, matcher.name, near))  # fmt: skip


def _replaced(query: str, word: str, near: str) -> str:
    """Return the query with the word put right, where it stands there once and so cannot be mistaken."""
    return query.replace(word, near) if near and query.count(word) == 1 else ""
