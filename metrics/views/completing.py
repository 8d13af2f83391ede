"""Completions of the query box and of the form's fields, with type, help and how many series or values there are."""

import re
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from metrics import selectors
from metrics.promql.syntax.functions import DOCUMENTED, FUNCTIONS
from metrics.promql.types import Matcher

MAX_QUERY = 4000
MOST_OPTIONS = 20
MAX_HELP = 160
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "topk", "bottomk", "quantile", "stddev", "group", "count_values")
WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*$")  # noqa: TID251 - our own constant, linear
LABEL_VALUE = re.compile(r'([a-zA-Z_:][\w:]*)?\{[^}]*?([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"([^"]*)$')  # noqa: TID251 - our own constant, linear
LABEL_NAME = re.compile(r"([a-zA-Z_:][\w:]*)?\{[^}]*?([a-zA-Z_]\w*)?$")  # noqa: TID251 - our own constant, linear
LAST_PART = re.compile(r"[^,\s]*$")  # noqa: TID251 - our own constant, linear

Option = dict[str, Any]


def _options(found: list[str], typed: str, before: int, kind: str, tail: str = "") -> list[Option]:
    near = [text for text in found if typed.lower() in text.lower()]
    near.sort(key=lambda text: (not text.lower().startswith(typed.lower()), text))
    return [{"text": text, "insert": text + tail, "start": before - len(typed), "end": before, "kind": kind,
             "help": "", "count": ""}
            for text in near[:MOST_OPTIONS]]  # fmt: skip


def _of_metric(metric: str) -> list[list[Matcher]]:
    return [[Matcher("__name__", "=", metric)]] if metric else [[]]


def _labels(metric: str, typed: str, before: int, tail: str = "") -> list[Option]:
    names = [name for name in selectors.label_names(_of_metric(metric)) if name != "__name__"]
    options = _options(names or selectors.label_names(), typed, before, "label", tail)
    counts = selectors.value_counts(metric) if metric else {}
    for option in options:
        if option["text"] in counts:
            option["count"] = _counted(counts[option["text"]], "value", "values")
    return options


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _metrics(typed: str, before: int) -> list[Option]:
    options = _options(selectors.metric_names(), typed, before, "metric")
    names = [option["text"] for option in options]
    known, counts = selectors.declared(names), selectors.series_counts(names)
    for option in options:
        said = known.get(option["text"])
        option["kind"] = said.type if said and said.type else "metric"
        option["help"] = said.help[:MAX_HELP] if said else ""
        option["count"] = _counted(counts[option["text"]], "series", "series")
    return options


def _functions(typed: str, before: int) -> list[Option]:
    words = [*FUNCTIONS, *AGGREGATIONS]
    near = [word for word in words if word.startswith(typed.lower())]
    options = _options(near, typed, before, "function", "(")
    for option in options:
        function = FUNCTIONS.get(option["text"])
        takes = ", ".join(DOCUMENTED[each] for each in function.takes) if function else "joins series"
        option |= {"kind": "function" if function else "aggregation", "help": takes}
    return options


def complete_options(query: str, at: int, *, of: str | None = None) -> list[Option]:
    """Return what may stand at the cursor: a label's value, a label, a metric or a function.

    Where `of` names a metric the text is a list of its labels.
    """
    left = query[:at]
    if of is not None:
        part = LAST_PART.search(left)
        return _labels(of, part[0] if part else "", at)
    if value := LABEL_VALUE.search(left):
        known = selectors.label_values(value[2], _of_metric(value[1] or ""))
        return _options(known or selectors.label_values(value[2]), value[3], at, f"value of {value[2]}")
    if (name := LABEL_NAME.search(left)) and "{" in left:
        return _labels(name[1] or "", name[2] or "", at, '="')
    word = WORD.search(left)
    return [*_metrics(word[0], at), *_functions(word[0], at)][:MOST_OPTIONS] if word else []


@require_GET
@role_required(Role.VIEWER)
def complete(request: HttpRequest) -> JsonResponse:
    """Answer a box's question for completions."""
    query = request.GET.get("q", "")[:MAX_QUERY]
    at = request.GET.get("at", "")
    place = min(int(at), len(query)) if at.isdecimal() and at.isascii() and len(at) < 6 else len(query)
    return JsonResponse({"options": complete_options(query, place, of=request.GET.get("of"))})
