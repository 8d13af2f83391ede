"""Questions without PromQL: a metric path or a small form becomes a query by the metric's type."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib.durations import parse_seconds
from metrics import selectors
from metrics.promql.paths import BadPath, MetricPath, Question, duration_text, kind_of, parse_path, promql_of
from metrics.promql.types import Matcher

WINDOW_SECONDS = 300
LONGEST_SECONDS = 30 * 86_400
MOST_LABELS = 10
MAX_TEXT = 1000
# What the form offers, in the order a reader looks for it; the path grammar knows `count` and `last` besides.
CHOICES = (
    ("value", "value"), ("rate", "rate per second"), ("increase", "increase"), ("avg", "average"), ("min", "minimum"),
    ("max", "maximum"), ("sum", "sum"), ("p50", "p50, the median"), ("p90", "p90"), ("p95", "p95"), ("p99", "p99"),
)  # fmt: skip
KIND_WORDS = {
    "counter": "a counter", "gauge": "a gauge", "histogram": "a classic histogram", "native": "a native histogram",
    "summary": "a summary", "unknown": "of no declared type",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Meaning:
    """A question, the query it became, and why."""

    asked: str
    query: str
    kind: str
    help: str = ""


def meaning_of(path: MetricPath, by: tuple[str, ...] = (), window_seconds: int = WINDOW_SECONDS) -> Meaning:
    """Return the PromQL of a question about a stored metric; raises BadPath."""
    names = set(selectors.metric_names())
    known = selectors.declared([path.metric]).get(path.metric, selectors.Declared())
    kind, family = kind_of(path.metric, known.type, names)
    quantiles: list[str] = []
    if kind == "summary":
        quantiles = selectors.label_values("quantile", [[Matcher("__name__", "=", path.metric)]])
    question = Question(MetricPath(family, path.labels, path.suffix), by, window_seconds)
    asked = f"{path.selector()}.{path.suffix or 'value'}"
    return Meaning(asked, promql_of(question, kind, quantiles), KIND_WORDS[kind], known.help)


def path_in(query: str) -> MetricPath | None:
    """Return the path a query box holds, where it holds one with a suffix; raises BadPath for an unknown suffix."""
    try:
        path = parse_path(query)
    except BadPath as error:
        if str(error).startswith("Unknown suffix"):
            raise
        return None
    return path if path.suffix else None


def form_of(request: HttpRequest) -> dict[str, str]:
    """Return what the form holds."""
    given = request.GET
    what = given.get("what", "value")
    return {"metric": given.get("metric", "").strip()[:MAX_TEXT], "what": what, "by": given.get("by", "")[:MAX_TEXT],
            "over": given.get("over", "").strip()[:20] or duration_text(WINDOW_SECONDS)}  # fmt: skip


def meaning_of_form(form: dict[str, str]) -> Meaning:
    """Return what the form asks; raises BadPath."""
    try:
        seconds = int(parse_seconds(form["over"]))
    except ValueError:
        raise BadPath(f"{form['over']!r} is not a window; write 5m, 90s or 1h.") from None
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise BadPath("The window must be between 1s and 30d.")
    by = tuple(dict.fromkeys(part.strip() for part in form["by"].split(",") if part.strip()))
    if len(by) > MOST_LABELS:
        raise BadPath(f"At most {MOST_LABELS} labels.")
    if not form["metric"]:
        raise BadPath("Name a metric.")
    path = _path_of(form["metric"])
    suffix = path.suffix if form["what"] == "value" else form["what"]
    return meaning_of(MetricPath(path.metric, path.labels, suffix), by, seconds)


def _path_of(text: str) -> MetricPath:
    try:
        return parse_path(text)
    except BadPath:
        # Senders of OpenTelemetry name metrics with dots: what is stored under this name is meant as it is.
        if text in set(selectors.metric_names()):
            return MetricPath(text)
        raise


@require_GET
@role_required(Role.VIEWER)
def ask(request: HttpRequest) -> JsonResponse:
    """Answer the form's question for the query it makes."""
    answer: dict[str, Any] = {"query": "", "kind": "", "problem": ""}
    try:
        meaning = meaning_of_form(form_of(request))
        answer |= {"query": meaning.query, "kind": meaning.kind, "help": meaning.help}
    except BadPath as error:
        answer["problem"] = str(error)
    return JsonResponse(answer)
