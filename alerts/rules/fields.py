"""What each kind of rule knows, as one table: validation, REST, the editor page and the YAML file all read it here.

A kind of this app is described below; a kind that another app owns brings its fields with it (`AskedKind.fields`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from alerts.engine.severity import RANKS

# What a value is: `seconds` may be written as a duration in YAML; `levels` is a list of maps with LEVEL_FIELDS; `path`
# is a metric path; `promql` and `rules` (rules joined by and, or, not) are texts with a language of their own.
FieldType = Literal[
    "text", "promql", "path", "rules", "number", "integer", "seconds", "boolean", "choice", "names", "levels", "json"
]
DAY_SECONDS = 86_400
CONDITIONS = (
    "greater_than", "less_than", "equals", "not_equals", "greater_than_or_equal", "less_than_or_equal",
)  # fmt: skip
NO_DATA_CHOICES = ("unknown", "alert", "ok", "keep")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecField:
    """One key of a rule's spec."""

    name: str
    type: FieldType
    label: str
    help: str
    required: bool = False
    default: Any = None  # None: there is no default, the key is simply left out.
    unit: str = ""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindShape:
    """A kind of rule as forms and files show it."""

    kind: str
    label: str
    help: str
    fields: tuple[SpecField, ...]
    uses_window: bool = False  # Whether `window_seconds` of the rule means anything.
    makes_alerts: bool = True

    def field(self, name: str) -> SpecField | None:
        """Return one of its fields."""
        return next((field for field in self.fields if field.name == name), None)

    @property
    def keys(self) -> frozenset[str]:
        """Return the keys its spec may hold."""
        return frozenset(field.name for field in self.fields)

    @property
    def defaults(self) -> dict[str, Any]:
        """Return what holds for keys that are left out."""
        return {field.name: field.default for field in self.fields if field.default is not None}


LEVEL_FIELDS = (
    SpecField(
        name="severity", type="choice", label="Severity", required=True, choices=tuple(RANKS),
        help="Another one than the rule's own and than those of the other levels.",
    ),
    SpecField(
        name="threshold", type="number", label="Threshold", required=True,
        help="On the bad side of the threshold of every milder level.",
    ),
    SpecField(
        name="recovery_threshold", type="number", label="Recovers at",
        help="Once there, the level is left only beyond this value.",
    ),
)  # fmt: skip
_LEVELS = SpecField(
    name="levels", type="levels", label="More severities",
    help="Further thresholds with a severity each. The alert stays one: its severity rises with the value.",
    example='[{"severity": "critical", "threshold": 95, "recovery_threshold": 92}]',
)  # fmt: skip
_RECOVERY = SpecField(
    name="recovery_threshold", type="number", label="Recovers at",
    help="Once it fires it is over only beyond this value, on the good side of the threshold; empty: at the threshold.",
    example="80",
)  # fmt: skip
_NO_DATA = SpecField(
    name="no_data", type="choice", label="When data stops", default="unknown", choices=NO_DATA_CHOICES,
    help="unknown: an alert that runs is called unknown, neither firing nor over. alert: whatever was seen within the "
    "last hour and stopped is an alert. ok: it is over. keep: it stays as it is.",
)  # fmt: skip
_CONDITION = SpecField(
    name="condition", type="choice", label="Condition", required=True, choices=CONDITIONS,
    help="On which side of the threshold a value is bad; >, <, ==, !=, >=, <= and gt, lt, eq, ne, gte, lte do too.",
)  # fmt: skip
_DENOMINATOR = SpecField(
    name="denominator_path", type="path", label="Divided by", example="http_requests_total.rate",
    help="A second path: the total of the first is divided by its total.",
)  # fmt: skip


def _path(required: bool, more: str = "") -> SpecField:
    return SpecField(
        name="metric_path", type="path", label="Metric path", required=required, example="response_time_ms.p95",
        help='metric, metric{label="v"} or metric.suffix; suffixes: avg, min, max, sum, count, last, rate, increase, '
        f"p50, p90, p95, p99.{more}",
    )  # fmt: skip


def _expr(required: bool, text: str) -> SpecField:
    return SpecField(name="expr", type="promql", label="PromQL", required=required, help=text, example="heat > 80")


PROMQL = KindShape(
    kind="promql", label="PromQL", help="An alert for each series that a PromQL query returns.",
    fields=(
        _expr(True, "The alert fires for each series the query returns. With levels or a recovery threshold it ends "
                    "in a comparison with a number."),
        _LEVELS, _RECOVERY, _NO_DATA,
    ),
)  # fmt: skip
THRESHOLD = KindShape(
    kind="threshold", label="Threshold", uses_window=True,
    help="A metric over a window against a number; series with fewer than three samples in it are left out.",
    fields=(
        _path(True), _DENOMINATOR, _CONDITION,
        SpecField(name="threshold", type="number", label="Threshold", required=True, help="A number.", example="90"),
        _LEVELS, _RECOVERY, _NO_DATA,
    ),
)  # fmt: skip
RECORDING = KindShape(
    kind="recording", label="Recording", help="A query that is written as series of its own at each tick.",
    makes_alerts=False,
    fields=(
        SpecField(
            name="record", type="text", label="Recorded as", required=True, example="job:http_requests:rate5m",
            help="The name of the series it writes.",
        ),
        _expr(True, "What is written at each tick."),
        SpecField(
            name="limit", type="integer", label="Most series", least=0, most=10_000, unit="series",
            help="Beyond it nothing is written and the rule says so; 0 or empty for 10,000.",
        ),
    ),
)  # fmt: skip
ABSENCE = KindShape(
    kind="absence", label="Absence", help="An alert, with its labels, for each series that stopped coming.",
    fields=(
        SpecField(
            name="selector", type="promql", label="Series", required=True, example='up{job="node"}',
            help="A selector, without a window: which series are expected to go on.",
        ),
        SpecField(
            name="missing_seconds", type="seconds", label="Missing for", default=300, unit="seconds", least=10,
            most=DAY_SECONDS, help="How long no sample may come: at least twice the interval they come at.",
        ),
        SpecField(
            name="look_back_seconds", type="seconds", label="Seen within", default=3600, unit="seconds", least=60,
            most=7 * DAY_SECONDS,
            help="Which series are known: those with a sample within this time. Longer than what is missing.",
        ),
        SpecField(
            name="absent", type="boolean", label="Also when nothing matches", default=True,
            help="One alert when no series at all matches within the time that is looked back on.",
        ),
    ),
)  # fmt: skip
COMPOSITE = KindShape(
    kind="composite", label="Composite", help="Other rules joined by and, or, not.",
    fields=(
        SpecField(
            name="expression", type="rules", label="Rules", required=True, example="high_cpu and not maintenance_flag",
            help="Names of rules, in quotes where they are more than letters, digits and _, joined by and, or, not and "
            "parentheses. A rule is true while an alert of it fires.",
        ),
        SpecField(
            name="on", type="names", label="Joined on labels", example='["host"]', default=(),
            help="An alert for each value of these labels; what lacks one of them counts for all its values. Empty: "
            "one alert, whatever the labels.",
        ),
    ),
)  # fmt: skip
DYNAMIC = KindShape(
    kind="dynamic", label="Dynamic threshold", uses_window=True,
    help="A threshold for each series, worked out from its own past: a percentile of a baseline, times a factor.",
    fields=(
        _path(False, " Either this or PromQL."), _DENOMINATOR,
        _expr(False, "Instead of a path: a query without a comparison, such as avg by (host) (load)."),
        SpecField(
            name="condition", type="choice", label="Condition", default="greater_than", choices=CONDITIONS[:2],
            help="greater_than: above the threshold is bad; less_than: below it (then with a percentile such as 5 and "
            "a factor such as 0.8).",
        ),
        SpecField(
            name="percentile", type="number", label="Percentile", default=95, unit="percent", least=0, most=100,
            help="Of the values of the baseline.",
        ),
        SpecField(
            name="factor", type="number", label="Times", default=1.2, least=0, most=1000,
            help="The percentile times this is the threshold.",
        ),
        SpecField(
            name="baseline_seconds", type="seconds", label="Baseline", default=7 * DAY_SECONDS, unit="seconds",
            least=3600, most=90 * DAY_SECONDS,
            help="How far back values are taken from; with seasons 28 days, unless something is set here.",
        ),
        SpecField(
            name="recalculate_seconds", type="seconds", label="Worked out every", default=21_600, unit="seconds",
            least=300, most=7 * DAY_SECONDS, help="A new threshold applies when it differs by more than 1 %.",
        ),
        SpecField(
            name="least_history_seconds", type="seconds", label="Least history", default=DAY_SECONDS, unit="seconds",
            least=3600, most=90 * DAY_SECONDS,
            help="With less past than this a series has no threshold, and the rule says so.",
        ),
        SpecField(name="floor", type="number", label="Floor", help="The threshold is never below this."),
        SpecField(name="ceiling", type="number", label="Ceiling", help="The threshold is never above this."),
        SpecField(
            name="seasonal", type="boolean", label="Seasons", default=False,
            help="A threshold for each hour of the week (UTC), of at least two weeks each.",
        ),
        SpecField(
            name="threshold", type="number", label="Until then",
            help="What applies while a series has too little history; empty: then it is not judged.",
        ),
        _NO_DATA,
    ),
)  # fmt: skip
SHAPES: Mapping[str, KindShape] = {
    shape.kind: shape for shape in (PROMQL, THRESHOLD, DYNAMIC, ABSENCE, COMPOSITE, RECORDING)
}
