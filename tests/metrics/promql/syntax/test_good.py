"""Queries that are right, each with what it is taken for."""

import math
from typing import Any

import pytest

from metrics.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Matching,
    Negate,
    Node,
    Number,
    RangeSelector,
    Selector,
    Subquery,
    Text,
    children,
)
from metrics.promql.parsing import parse, resolve
from metrics.promql.types import Matcher, QueryError

MINUTE = 60_000
HOUR = 60 * MINUTE
NAME = "__name__"


def root(query: str) -> Any:
    """Return the plan of a query with everything experimental."""
    return parse(query, experimental=True).root


def named(name: str, *matchers: Matcher, **options: Any) -> Selector:
    """Return the selector of a metric."""
    values = {"offset_ms": 0, "anchor": None} | options
    return Selector(((Matcher(NAME, "=", name), *matchers),), **values)


def shape(node: Node) -> str:
    """Write a plan with all its brackets."""
    match node:
        case Binary(op=op, left=left, right=right):
            return f"({shape(left)} {op} {shape(right)})"
        case Negate(expr=expr):
            return f"-{shape(expr)}"
        case Number(value=value):
            return f"{value:g}"
        case Selector(alternatives=alternatives):
            return alternatives[0][0].value
    return f"{type(node).__name__}({', '.join(map(shape, children(node)))})"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5),
        ("1e3", 1000),
        ("1E+3", 1000),
        ("1e-3", 0.001),
        ("0x1F", 31),
        ("0X_53", 83),
        ("0x_5_3", 83),
        ("0xfe", 254),
        ("1_000_000", 1e6),
        ("1_0.5_0e1_0", 10.5e10),
        ("010", 8),
        ("0755", 493),
        ("089", 89),
        ("Inf", math.inf),
        ("+inf", math.inf),
        ("-INF", -math.inf),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d1ms", 86400.001),
        ("2w", 1209600),
        ("1y", 31536000),
        ("-5m", -300),
        ("- -1", 1),
        ("9223372036854775808", 9223372036854775808),
        ("100ms", 0.1),
    ],
)
def test_numbers_in_every_spelling(text: str, value: float) -> None:
    assert root(text) == Number(value)


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(root("nAn").value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a"', "a"),
        ("'a'", "a"),
        ("`a\\n\n`", "a\\n\n"),
        (r'"\a\b\f\n\r\t\v\\\""', '\a\b\f\n\r\t\v\\"'),
        (r"'\''", "'"),
        (r'"\x41\101\u00fc\U0001F600"', "AAü😀"),
        (r'"\xc3\xbc"', "ü"),
        ('"ü # no comment"', "ü # no comment"),
        ('""', ""),
        ('"\'`"', "'`"),
    ],
)
def test_strings_with_every_escape(text: str, value: str) -> None:
    assert root(text) == Text(value)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("a + b * c", "(a + (b * c))"),
        ("a * b + c", "((a * b) + c)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("a - b - c", "((a - b) - c)"),
        ("-a ^ b", "-(a ^ b)"),
        ("-a * b", "(-a * b)"),
        ("a ^ -b * c", "((a ^ -b) * c)"),
        ("a ^ -b ^ c", "(a ^ -(b ^ c))"),
        ("a or b and c", "(a or (b and c))"),
        ("a and b or c", "((a and b) or c)"),
        ("a unless b and c", "((a unless b) and c)"),
        ("a > b + c", "(a > (b + c))"),
        ("a == b != c", "((a == b) != c)"),
        ("a atan2 b ^ c", "(a atan2 (b ^ c))"),
        ("a </ b >/ c", "((a </ b) >/ c)"),
        ("a % b / c", "((a % b) / c)"),
        ("(a + b) * c", "((a + b) * c)"),
        ("a OR b", "(a or b)"),
        ("+a", "a"),
        ("--a", "--a"),
        ("-(1)", "-1"),
        ("a AND b Unless c", "((a and b) unless c)"),
        ("or or or", "(or or or)"),
        ("and and and", "(and and and)"),
        ("fill + fill", "(fill + fill)"),
        ("by * without", "(by * without)"),
        ("start - end", "(start - end)"),
        ("sum / count", "(sum / count)"),
        ("offset + anchored", "(offset + anchored)"),
        ("step ^ range", "(step ^ range)"),
        ("limitk + min_of", "(limitk + min_of)"),
        ("a # b\n + c", "(a + c)"),
        ("fill_left\n-fill_right", "(fill_left - fill_right)"),
        ("a:b:c + :d", "(a:b:c + :d)"),
        ("SUM + 1", "(SUM + 1)"),
        ("a\t\r\n+b", "(a + b)"),
    ],
)
def test_operators_bind_as_they_should(query: str, wanted: str) -> None:
    assert shape(root(query)) == wanted


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("a", named("a")),
        (
            'a{b="c",d!="e",f=~"g.*",h!~"i",}',
            named(
                "a", Matcher("b", "=", "c"), Matcher("d", "!=", "e"), Matcher("f", "=~", "g.*"), Matcher("h", "!~", "i")
            ),
        ),
        ('{"a.b"}', Selector(((Matcher(NAME, "=", "a.b"),),), 0, None)),
        ('{"a.b", "c d"!="e"}', Selector(((Matcher(NAME, "=", "a.b"), Matcher("c d", "!=", "e")),), 0, None)),
        (
            'a{by="1",sum="2",offset="3",bool="4"}',
            named(
                "a",
                Matcher("by", "=", "1"),
                Matcher("sum", "=", "2"),
                Matcher("offset", "=", "3"),
                Matcher("bool", "=", "4"),
            ),
        ),
        ('a{or="1"}', named("a", Matcher("or", "=", "1"))),
        (
            '{b="c" or d="e",f="g"}',
            Selector(((Matcher("b", "=", "c"),), (Matcher("d", "=", "e"), Matcher("f", "=", "g"))), 0, None),
        ),
        ("a offset 5m", named("a", offset_ms=5 * MINUTE)),
        ("a offset -5m", named("a", offset_ms=-5 * MINUTE)),
        ("a offset +5", named("a", offset_ms=5000)),
        ("a offset - -5m", named("a", offset_ms=5 * MINUTE)),
        ("a @ 5", named("a", anchor=5000)),
        ("a @ -1.5", named("a", anchor=-1500)),
        ("a @ 1h", named("a", anchor=HOUR)),
        ("a @ start()", named("a", anchor="start")),
        ("a @ END()", named("a", anchor="end")),
        ("a @ 5 offset 1m", named("a", anchor=5000, offset_ms=MINUTE)),
        ("a offset 1m @ +5", named("a", anchor=5000, offset_ms=MINUTE)),
        ("a @ 0x1f", named("a", anchor=31_000)),
        ("a anchored", named("a", smoothing="anchored")),
        ("a{}", named("a")),
        ("a[5m]", RangeSelector(named("a"), 5 * MINUTE)),
        ("a[ 5m ]", RangeSelector(named("a"), 5 * MINUTE)),
        ("a[30]", RangeSelector(named("a"), 30_000)),
        ("a[0.0001]", RangeSelector(named("a"), 1)),
        ("a[5m] offset 1h @ 1", RangeSelector(named("a", offset_ms=HOUR, anchor=1000), 5 * MINUTE)),
        ("a[5m] smoothed", RangeSelector(named("a", smoothing="smoothed"), 5 * MINUTE)),
        ("a anchored[5m]", RangeSelector(named("a", smoothing="anchored"), 5 * MINUTE)),
        ("a[5m:]", Subquery(named("a"), 5 * MINUTE, 0, 0, None)),
        ("a[5m:1m]", Subquery(named("a"), 5 * MINUTE, MINUTE, 0, None)),
        ("a[5m:1m] @ end() offset -1m", Subquery(named("a"), 5 * MINUTE, MINUTE, -MINUTE, "end")),
        ("a[0x1f:1_0]", Subquery(named("a"), 31_000, 10_000, 0, None)),
    ],
)
def test_selectors_and_their_modifiers(query: str, wanted: Node) -> None:
    assert root(query) == wanted


@pytest.mark.parametrize(
    ("query", "grouping", "without"),
    [
        ("sum(a)", (), False),
        ("sum by (b, c) (a)", ("b", "c"), False),
        ("sum(a) by (b,)", ("b",), False),
        ("sum without (b) (a)", ("b",), True),
        ("sum(a) without ()", (), True),
        ("SUM BY (B) (a)", ("B",), False),
        (
            'sum by ("b.c", by, on, bool, offset, sum, group_left, and, start, c:d) (a)',
            ("b.c", "by", "on", "bool", "offset", "sum", "group_left", "and", "start", "c:d"),
            False,
        ),
    ],
)
def test_aggregations_with_their_grouping_before_and_after(
    query: str, grouping: tuple[str, ...], without: bool
) -> None:
    assert root(query) == Aggregate("sum", named("a"), None, grouping, without)


@pytest.mark.parametrize("op", ["topk", "bottomk", "quantile", "limitk", "limit_ratio"])
def test_aggregators_with_a_number(op: str) -> None:
    assert root(f"{op}(2, a)") == Aggregate(op, named("a"), Number(2.0), (), False)


def test_count_values_takes_a_text() -> None:
    assert root('count_values("v", a)') == Aggregate("count_values", named("a"), Text("v"), (), False)


@pytest.mark.parametrize(
    ("operator", "matching", "returns_bool"),
    [
        ("+", Matching(), False),
        ("== bool", Matching(), True),
        ("+ on()", Matching(on=True), False),
        ("* on(x, y)", Matching(on=True, labels=("x", "y")), False),
        ("* ignoring(x)", Matching(labels=("x",)), False),
        ("/ on(x) group_left", Matching("many-to-one", True, ("x",)), False),
        ("/ on(x) group_right (y)", Matching("one-to-many", True, ("x",), ("y",)), False),
        ("> bool ignoring(x) group_left ()", Matching("many-to-one", False, ("x",)), True),
        ("and on(x)", Matching("many-to-many", True, ("x",)), False),
        ("or", Matching("many-to-many"), False),
        ("+ fill(0)", Matching(fill_left=0, fill_right=0), False),
        ("+ fill_left(-1)", Matching(fill_left=-1), False),
        ("- fill_right(+1m) fill_left (2)", Matching(fill_left=2, fill_right=60), False),
        (
            "- on(x) group_left(y) fill_left(1) fill_right(2)",
            Matching("many-to-one", True, ("x",), ("y",), 1, 2),
            False,
        ),
    ],
)
def test_binary_operators_with_their_modifiers(operator: str, matching: Matching, returns_bool: bool) -> None:
    op = operator.split(maxsplit=1)[0]
    assert root(f"a {operator} b") == Binary(op, named("a"), named("b"), matching, returns_bool)


@pytest.mark.parametrize(
    "query",
    [
        "time()",
        "pi()",
        "start() + end() + step() + range()",
        "max_of(1, 2)",
        "vector(1)",
        "hour()",
        "hour(a)",
        "round(a)",
        "round(a, 5)",
        'label_join(a, "b", "c")',
        'label_join(a, "b", "c", "d", "e", "f")',
        "sort_by_label(a)",
        'sort_by_label_desc(a, "b", "c")',
        'histogram_quantiles(a, "q", 0.5)',
        "info(a)",
        'info(a, {b="c"})',
        'info(a, {b=~".*"})',
        "info(a, {})",
        "quantile_over_time(0.5, a[5m])",
        "predict_linear(a[5m], 60)",
        "scalar(a) > bool 1",
        "rate(sum(a)[5m:])",
        "sum_over_time((a + b)[5m:1m])",
        "rate(a[5m] anchored)",
        "absent_over_time(a[5m])",
        "(((a)))",
        '("x")',
        "start_timestamp(a)",
        "1 > bool 2",
        "a </ 5",
        "1 == bool 1",
        "rate((a[5m]))",
    ],
)
def test_right_types_are_taken(query: str) -> None:
    assert root(query) is not None


DURATIONS = [
    ("a[5m*2]", 10 * MINUTE),
    ("a[(5m)]", 5 * MINUTE),
    ("a[step()]", 15_000),
    ("a[range() / 2]", 30 * MINUTE),
    ("a[5m + step() * 2]", 5 * MINUTE + 30_000),
    ("a[2^2^3]", 256_000),
    ("a[max_of(step(), 5m) - 1m]", 4 * MINUTE),
    ("a[min_of(step(), 5m)]", 15_000),
    ("a[-(-5m)]", 5 * MINUTE),
    ("a[7m % 5m]", 2 * MINUTE),
    ("a[--5m]", 5 * MINUTE),
    ("a[(5m + 1m) * 2]", 12 * MINUTE),
    ("a[+step()]", 15_000),
    ("a[-5m + 6m]", MINUTE),
    ("a[-step() + 1m]", 45_000),
    ("a[STEP() * 1_0]", 150_000),
    ("a[0.0001 * 1]", 1),
    ("a[2 ^ -1]", 500),
]


@pytest.mark.parametrize(("query", "milliseconds"), DURATIONS)
def test_arithmetic_in_a_window_is_worked_out_when_step_and_range_are_known(query: str, milliseconds: int) -> None:
    plan = parse(query, experimental=True)
    assert resolve(plan, 15_000, HOUR) == RangeSelector(named("a"), milliseconds)


@pytest.mark.parametrize(
    ("query", "offset_ms"),
    [
        ("a offset (5m * 2)", 10 * MINUTE),
        ("a offset -(5m)", -5 * MINUTE),
        ("a offset step()", 15_000),
        ("a offset -range()", -HOUR),
        ("a offset max_of(1m, 2m)", 2 * MINUTE),
        ("a offset (1m - 3m)", -2 * MINUTE),
        ("a offset (1m) + 2m", 3 * MINUTE),
        ("a offset ((1m)) * 3", 3 * MINUTE),
        ("a offset -min_of(1m, 2m)", -MINUTE),
    ],
)
def test_arithmetic_in_an_offset(query: str, offset_ms: int) -> None:
    assert resolve(parse(query, experimental=True), 15_000, HOUR) == named("a", offset_ms=offset_ms)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("a offset 5m + 1", "(a + 1)"),
        ("a offset -2 ^ 2", "(a ^ 2)"),
        ("a offset step() + 1", "(a + 1)"),
        ("a offset (1h) > 5", "(a > 5)"),
        ("a offset (1h) + b", "(a + b)"),
        ("a offset (1h) - (step * 2)", "(a - (step * 2))"),
        ("a offset (1h) - -(b)", "(a - -b)"),
        ("a offset -(1h) - 5", "(a - 5)"),
    ],
)
def test_what_follows_an_offset_belongs_to_the_query(query: str, wanted: str) -> None:
    assert shape(root(query)) == wanted


def test_a_subquery_is_worked_out_whole() -> None:
    plan = parse("rate(a[step()*4:step()] offset (range()))", experimental=True)
    assert resolve(plan, 1000, 5000) == Call("rate", (Subquery(named("a"), 4000, 1000, 5000, None),))
    assert plan.root == Call("rate", (Subquery(named("a"), 0, 0, 0, None),))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("a[step()]", "2:8: duration must be greater than 0"),
        ("a[1m / step()]", "2:13: division by zero"),
        ("a[1m % step()]", "2:13: modulo by zero"),
        ("a[1m - 2m]", "2:9: duration must be greater than 0"),
        ("a[(-1m) ^ 0.5]", "duration is NaN or infinite"),
        ("a[9 ^ 999]", "duration is NaN or infinite"),
        ("a[1e9 * 1e9]", "duration is out of range"),
        ("a[0 ^ -1]", "duration is NaN or infinite"),
    ],
)
def test_a_duration_that_cannot_be_is_refused_when_it_is_worked_out(query: str, text: str) -> None:
    plan = parse(query, experimental=True)
    with pytest.raises(QueryError) as problem:
        resolve(plan, 0, 0)
    assert text in str(problem.value)
    assert problem.value.kind == "bad_data"


def test_nothing_to_work_out_leaves_the_plan_as_it_is() -> None:
    plan = parse("rate(a[5m])")
    assert resolve(plan, 1, 1) is plan.root


def test_nodes_know_their_place() -> None:
    query = "sum by (x) (rate(a[5m])) + -bb offset 1m"
    node = root(query)
    call = node.left.expr
    texts = [
        query[slice(*each.place)] for each in (node, node.left, call, call.arguments[0], node.right, node.right.expr)
    ]
    assert texts == [query, "sum by (x) (rate(a[5m]))", "rate(a[5m])", "a[5m]", "-bb offset 1m", "bb offset 1m"]


def test_plans_are_kept() -> None:
    assert parse("a + b") is parse("a + b")
