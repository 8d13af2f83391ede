"""From a query to text again: layout, JSON, and that nothing is lost on the way."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.promql.parsing import format_query, parse, resolve, tree_of
from metrics.promql.syntax.functions import FUNCTIONS
from metrics.promql.syntax.numbers import duration_text, number_text, seconds_of, short_number_text
from metrics.promql.syntax.strings import BadText, quoted, unquote
from metrics.promql.types import QueryError
from tests.metrics.promql.syntax.test_bad import EXPERIMENTAL

LAID_OUT = [
    ("sum(a)by(b)", "sum by (b) (a)"),
    ("sum without(  )(a)", "sum without () (a)"),
    ("sum by () (a)", "sum(a)"),
    ('a{c="d",b=~"e"}', 'a{b=~"e",c="d"}'),
    ('{"a.b","c d"="e"}', '{"c d"="e",__name__="a.b"}'),
    ("a{}", "a"),
    ("a@5 offset 90m", "a @ 5.000 offset 1h30m"),
    ("a offset -5m", "a offset -5m"),
    ("a[60]@end()", "a[1m] @ end()"),
    ("a[7d:1h]offset 1y", "a[1w:1h] offset 1y"),
    ("a[90d]", "a[90d]"),
    ("a[5m]smoothed offset 1m", "a[5m] smoothed offset 1m"),
    ("a anchored offset 1m @ 3", "a @ 3.000 anchored offset 1m"),
    ("5m+1e3", "5m + 1000"),
    ("Inf", "+Inf"),
    ("-nan", "NaN"),
    ("0x1f", "31"),
    ("1e-7", "0.0000001"),
    ("-0", "-0"),
    ("- a", "-a"),
    ("( a )", "(a)"),
    ("0s", "0s"),
    ("a+on(b)group_left(c)d", "a + on (b) group_left (c) d"),
    ("a*ignoring(b)group_right d", "a * ignoring (b) group_right () d"),
    ("a == bool 1", "a == bool 1"),
    ("a+fill(1e30)b", "a + fill (1e+30) b"),
    ("a+fill_right(2)fill_left(1)b", "a + fill_left (1) fill_right (2) b"),
    ("a + fill_right(0.5) b", "a + fill_right (0.5) b"),
    ("topk by(a)(5,b)", "topk by (a) (5, b)"),
    ("'x'", '"x"'),
    ('sum by ("a.b") (c)', 'sum by ("a.b") (c)'),
    ("a[5m+step()*2]", "a[5m + step() * 2]"),
    ("a[(5m)]", "a[(5m)]"),
    ("a offset -step()", "a offset -step()"),
    ("a[min_of(1m,2):(range())]", "a[min_of(1m, 2):(range())]"),
    ("info(a,{})", "info(a, {})"),
    ("time( )", "time()"),
    ('{a="b"or c="d"}', '{a="b" or c="d"}'),
    ("-5m", "-5m"),
    ("a OFFSET 1m AND b", "a offset 1m and b"),
]


@pytest.mark.parametrize(("query", "text"), LAID_OUT)
def test_a_query_is_written_in_the_usual_way(query: str, text: str) -> None:
    assert format_query(query) == text
    assert format_query(text) == text


LONG = "a_metric_with_a_name_so_long_that_it_fills_half_a_line"


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        (f"{LONG} + {LONG}", [f"  {LONG}", "+", f"  {LONG}"]),
        (f"sum by (x) ({LONG} > bool {LONG})", ["sum by (x) (", f"    {LONG}", "  > bool", f"    {LONG}", ")"]),
        (f"topk(5, {LONG} * on (x) {LONG})", ["topk(", "  5,", f"    {LONG}", "  * on (x)", f"    {LONG}", ")"]),
        (
            f"clamp(({LONG} - {LONG}), 1, 2)",
            ["clamp(", "  (", f"      {LONG}", "    -", f"      {LONG}", "  ),", "  1,", "  2", ")"],
        ),
        (f"-({LONG} - {LONG})", ["-(", f"    {LONG}", "  -", f"    {LONG}", ")"]),
        (f"({LONG} + {LONG})[5m:]", ["(", f"    {LONG}", "  +", f"    {LONG}", ")[5m:]"]),
        (f'{LONG}{{b="{LONG}"}}', [f'{LONG}{{b="{LONG}"}}']),
    ],
)
def test_a_long_query_is_laid_out_in_lines(query: str, lines: list[str]) -> None:
    text = format_query(query)
    assert text.split("\n") == lines
    assert format_query(text) == text


def test_the_tree_tells_all_of_a_query() -> None:
    query = 'topk by (x) (2, -(a{b!="c"} @ 5 offset 1m)) / on (y) group_left (z) rate(m[step()] @ end()) > bool 1'
    tree = tree_of(parse(query, experimental=True))
    assert (tree["type"], tree["op"]) == ("binaryExpr", ">")
    assert (tree["bool"], tree["matching"], tree["rhs"]) == (True, None, {"type": "numberLiteral", "val": "1"})
    divided = tree["lhs"]
    assert divided["matching"] == {
        "card": "many-to-one",
        "labels": ["y"],
        "on": True,
        "include": ["z"],
        "fillValues": {"lhs": None, "rhs": None},
    }
    top, rate = divided["lhs"], divided["rhs"]
    assert (top["type"], top["op"], top["grouping"], top["without"]) == ("aggregation", "topk", ["x"], False)
    assert top["param"] == {"type": "numberLiteral", "val": "2"}
    assert top["expr"]["type"] == "unaryExpr"
    assert top["expr"]["expr"] == {
        "type": "parenExpr",
        "expr": {
            "type": "vectorSelector",
            "name": "a",
            "offset": 60_000,
            "offsetExpr": None,
            "timestamp": 5000,
            "startOrEnd": None,
            "matchers": [{"name": "b", "value": "c", "type": "!="}, {"name": "__name__", "value": "a", "type": "="}],
            "anchored": False,
            "smoothed": False,
        },
    }
    assert rate["func"] == {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"}
    (matrix,) = rate["args"]
    assert (matrix["type"], matrix["range"], matrix["startOrEnd"]) == ("matrixSelector", 0, "end")
    assert matrix["rangeExpr"] == {"type": "durationExpr", "op": "step", "lhs": None, "rhs": None, "wrapped": False}


def test_the_tree_of_texts_subqueries_and_arithmetic_in_durations() -> None:
    tree = tree_of(parse('label_join(({a="b" or c="d"}), "e", "f")'))
    assert tree["args"][1] == {"type": "stringLiteral", "val": "e"}
    assert [len(each) for each in tree["args"][0]["expr"]["alternatives"]] == [1, 1]
    subquery = tree_of(parse("a[(5m) * 2:1m] offset 3m", experimental=True))
    assert (subquery["type"], subquery["step"], subquery["stepExpr"], subquery["offset"]) == (
        "subquery",
        60_000,
        None,
        180_000,
    )
    five = {"type": "numberLiteral", "val": "300", "duration": True}
    wrapped = {"type": "durationExpr", "op": "+", "lhs": None, "rhs": five, "wrapped": True}
    assert (subquery["rangeExpr"]["lhs"], subquery["rangeExpr"]["op"]) == (wrapped, "*")


@given(st.text())
def test_any_text_can_be_written_and_read_again(text: str) -> None:
    assert unquote(quoted(text)) == text


@given(st.integers(1, 10**12))
def test_any_duration_can_be_written_and_read_again(milliseconds: int) -> None:
    assert round(seconds_of(duration_text(milliseconds)) * 1000) == milliseconds


@given(st.floats(allow_nan=False))
def test_any_number_can_be_written_and_read_again(number: float) -> None:
    assert float(number_text(number)) == number
    assert float(short_number_text(number)) == number


NAMES = st.sampled_from(["a", "sum", "by", "or", "fill", "start", "a:b", "le", "offset", "step", "X_1"])
LABELS = st.sampled_from(["a", "b", "by", "on", '"c.d"', "le", "group_left"])
DURATION_TEXT = st.sampled_from(["5m", "30", "1h30m", "100ms", "1.5", "2w"])


def _matchers() -> st.SearchStrategy[str]:
    value = st.text(max_size=4).map(quoted)
    name = st.sampled_from(["x", "y", "or", '"z.z"', "by"])
    return st.tuples(name, st.sampled_from(["=", "!="]), value).map("".join)


def _spans() -> st.SearchStrategy[str]:
    leaf = DURATION_TEXT | st.sampled_from(["step()", "range()"])
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "^"]), inner).map(" ".join),
            inner.map(lambda text: f"({text})"),
            inner.map(lambda text: f"-({text})"),
            st.tuples(inner, inner).map(lambda sides: f"max_of({sides[0]}, {sides[1]})"),
        ),
        max_leaves=4,
    )


@st.composite
def selectors(draw: st.DrawFn) -> str:
    """Write an instant selector."""
    text = draw(NAMES)
    if found := draw(st.lists(_matchers(), max_size=3)):
        text += "{" + ",".join(found) + "}"
    text += draw(st.sampled_from(["", " @ 5", " @ start()", " @ -1.5"])) + draw(st.sampled_from(["", " anchored"]))
    return text + draw(st.sampled_from(["", " offset 5m", " offset -1h", " offset (step() + 1m)", " offset -range()"]))


@st.composite
def windows(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    """Write a range selector or a subquery."""
    span = draw(st.one_of(DURATION_TEXT, _spans().map(lambda text: f"({text})")))
    if draw(st.booleans()):
        return f"{draw(NAMES)}[{span}]{draw(st.sampled_from(['', ' smoothed', ' @ end()', ' offset 1m']))}"
    return f"({draw(inner)})[{span}:{draw(st.sampled_from(['', '1m', 'step()']))}]"


def _operated(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    labels = st.lists(LABELS, max_size=3).map(lambda names: f"({', '.join(names)})")
    plain = st.sampled_from(
        ["+", "-", "*", "/", "%", "^", "atan2", "==", "> bool", "</", "+ fill(2)", "- fill_left(-1.5)"]
    )
    matched = st.tuples(st.sampled_from(["+", ">", "* "]), st.sampled_from([" on", " ignoring"]), labels).map("".join)
    sets = st.sampled_from(["and", "or", "unless on (a)"])
    return st.tuples(inner, st.one_of(plain, matched, sets), inner).map(" ".join)


def _called(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    one = sorted(
        name for name, function in FUNCTIONS.items() if function.takes == ("vector",) and function.returns == "vector"
    )
    ranged = sorted(name for name, function in FUNCTIONS.items() if function.takes == ("matrix",))
    grouping = st.lists(LABELS, max_size=2).map(", ".join)
    return st.one_of(
        st.tuples(st.sampled_from(one), inner).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.tuples(st.sampled_from(ranged), windows(inner)).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.tuples(grouping, inner).map(lambda pair: f"sum by ({pair[0]}) ({pair[1]})"),
        st.tuples(inner, grouping).map(lambda pair: f"topk(3, {pair[0]}) without ({pair[1]})"),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
        inner.map(lambda text: f"+ {text}"),
    )


QUERIES = st.recursive(selectors(), lambda inner: st.one_of(_operated(inner), _called(inner)), max_leaves=8)


@given(QUERIES)
def test_a_printed_query_is_the_same_query(query: str) -> None:
    text = format_query(query)
    printed = parse(text, experimental=True)
    assert tree_of(printed) == tree_of(parse(format_query(text), experimental=True))
    assert _meaning(tree_of(printed)) == _meaning(tree_of(parse(query, experimental=True)))


def _meaning(tree: object) -> object:
    # Matchers are printed in order; a sign before a number becomes part of it.
    if isinstance(tree, dict):
        return {key: sorted(map(repr, value)) if key == "matchers" else _meaning(value) for key, value in tree.items()}
    return [_meaning(each) for each in tree] if isinstance(tree, list) else tree


@given(st.text(alphabet="ab(){}[]:,\"'`\\=!~<>/+-*^%@ 159.m_#x\nsumbyoffset"))
def test_any_text_is_a_query_or_a_mistake_with_a_place(text: str) -> None:
    try:
        written = format_query(text)
    except QueryError as problem:
        written, told = "", str(problem)
    else:
        told = "0:0: parse error: none"
    assert told.split(": ")[1] == "parse error"
    assert not written or format_query(written) == written


@pytest.mark.parametrize("query", EXPERIMENTAL)
def test_what_is_experimental_can_be_written_and_read_again(query: str) -> None:
    assert resolve(parse(format_query(query), experimental=True), 1000, 1000) == resolve(
        parse(query, experimental=True), 1000, 1000
    )


def test_numbers_that_are_none_are_written_by_name() -> None:
    assert [number_text(value) for value in (math.nan, math.inf, -math.inf)] == ["NaN", "+Inf", "-Inf"]
    assert [short_number_text(value) for value in (1e21, 5e-5, 123456.0, -2.5e-7)] == [
        "1e+21",
        "5e-05",
        "123456",
        "-2.5e-07",
    ]


def test_a_byte_that_is_no_part_of_a_text_is_replaced() -> None:
    assert unquote(r'"a\xff\303\274"') == "a\ufffdü"


def test_a_text_cannot_end_within_an_escape() -> None:
    with pytest.raises(BadText, match="not terminated"):
        unquote('"\\"')
