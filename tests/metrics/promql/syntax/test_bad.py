"""Queries that are wrong, each with the place and the words it is told in."""

import subprocess
import sys
from pathlib import Path

import pytest

from metrics.promql.parsing import parse
from metrics.promql.syntax.functions import FUNCTIONS
from metrics.promql.types import QueryError

BAD = [
    ("", "unknown position: parse error: no expression found in input"),
    ("# only words", "1:1: parse error: no expression found in input"),
    ("sum(", "1:5: parse error: unclosed left parenthesis"),
    ("a[5m", "1:5: parse error: unclosed left bracket"),
    ("a{", "1:3: parse error: unexpected end of input inside braces"),
    ("a)", "1:2: parse error: unexpected right parenthesis ')'"),
    ("a]", "unexpected right bracket ']'"),
    ("a}", "unexpected right brace '}'"),
    ("(a]", "unexpected right bracket ']'"),
    ("a[[5m]]", "unexpected left bracket '['"),
    ("a{{}", "unexpected left brace '{'"),
    ("a b", '1:3: parse error: unexpected identifier "b"'),
    ("a +", "1:4: parse error: unexpected end of input"),
    ("* a", "1:1: parse error: unexpected <op:*>"),
    ("a + * b", "unexpected <op:*>"),
    ("a = b", 'unexpected "="'),
    ("a =~ b", "unexpected character after '=': '~'"),
    ("a !~ b", "unexpected character after '!': '~'"),
    ("a ! b", "unexpected character after '!': ' '"),
    ("a ; b", "unexpected character: ';'"),
    ("a . b", "unexpected character: '.'"),
    ("ü", "unexpected character: 'ü'"),
    ("a\n  + ü", "2:5: parse error: unexpected character: 'ü'"),
    ("a , b", 'unexpected ","'),
    ("bool", "unexpected <bool>"),
    ("on", "unexpected <on>"),
    ("atan2", "unexpected <op:atan2>"),
    ("start(", "unclosed"),
    ('"a', "1:1: parse error: unterminated quoted string"),
    ("'a\n'", "unterminated quoted string"),
    ("`a", "unterminated raw string"),
    (r'"\q"', "1:2: parse error: unknown escape sequence U+0071 'q'"),
    (r'"\x4"', "illegal character in escape sequence"),
    (r'"\'"', "unknown escape sequence U+0027"),
    (r'"\777"', "invalid Unicode code point"),
    (r'"\ud800"', "invalid Unicode code point"),
    (r'"\U00110000"', "invalid Unicode code point"),
    (r'"\u12"', "illegal character"),
    ('"\ud800"', "invalid UTF-8 rune"),
    (r'a{b="\q"}', "1:6: parse error: unknown escape sequence"),
    ("1__0", 'bad number or duration syntax: "1__0"'),
    ("1_", "bad number"),
    ("1.2.3", "bad number"),
    ("1e", "bad number"),
    ("0xg", "bad number"),
    ("5x", "bad number"),
    ("1d1y", "bad number"),
    ("5hs", "bad number"),
    ("1._5", "bad number"),
    ("1m1h", "not a valid duration string"),
    ("1e999", "is out of range"),
    ("0xffffffffffffffffff", "is out of range"),
    ("99999999999999999999y", "duration out of range"),
    ("300y", "duration out of range"),
    ("a{b}", 'unexpected "}" in label matching, expected label matching operator'),
    ("a{b=}", 'unexpected "}" in label matching, expected string'),
    ("a{b=c}", 'unexpected identifier "c" in label matching, expected string'),
    ('a{b="c" d="e"}', 'expected "," or "}"'),
    ("a{,}", 'unexpected "," in label matching, expected identifier or "}"'),
    ('a{="b"}', "expected identifier"),
    ("a{b=5}", "unexpected character inside braces: '5'"),
    ("a{5}", "unexpected character inside braces: '5'"),
    ("a{b!}", "unexpected character inside braces: '!'"),
    ("a{b>5}", "inside braces: '>'"),
    ("a{:b}", "inside braces: ':'"),
    ("a{b;c}", "inside braces: ';'"),
    ('a{b="c" or}', "expected identifier"),
    ('a{b=~"("}', "1:3: parse error: invalid regular expression"),
    ('a{b=="c"}', 'unexpected "=" in label matching, expected string'),
    ("{}", "vector selector must contain at least one non-empty matcher"),
    ('{a=""}', "at least one non-empty"),
    ('{a=~".*"}', "at least one non-empty"),
    ('{a!="b"}', "at least one non-empty"),
    ('a{__name__="b"}', 'metric name must not be set twice: "a" or "b"'),
    ('a{"b"}', "metric name must not be set twice"),
    ('rate({x=""}[5m])', "at least one non-empty"),
    ("a[", "unclosed left bracket"),
    ("a[]", "in subquery or range selector, expected number, duration, step(), or range()"),
    ("a[0]", "duration must be greater than 0"),
    ("a[-5m]", "duration must be greater than 0"),
    ("a[5m:0]", "duration must be greater than 0"),
    ("a[:5m]", "unexpected colon before duration"),
    ("a[5m::]", "in subquery selector"),
    ("a[5m:5m:]", 'in subquery selector, expected "]"'),
    ("a[5m 5m]", 'in subquery or range, expected ":" or "]"'),
    ("a[b]", "unexpected character in duration expression: 'b'"),
    ("a[5m b]", "in duration expression: 'b'"),
    ("(a)[5m]", "1:4: parse error: ranges only allowed for vector selectors"),
    ("a[5m][5m]", "ranges only allowed"),
    ("a offset 1m[5m]", "no offset modifiers allowed before range"),
    ("a @ 5[5m]", "no @ modifiers allowed before range"),
    ("a offset", "in offset, expected number, duration, step(), or range()"),
    ("a offset b", "in offset, expected"),
    ("a offset 1m offset 1m", "offset may not be set multiple times"),
    ("(a) offset 1m", "offset modifier must be preceded by"),
    ("1 offset 1m", "offset modifier must be preceded by"),
    ("a[5m] offset 1m offset 2m", "offset may not be set multiple"),
    ("a @", "unexpected end of input in @, expected timestamp"),
    ("a @ b", "in @, expected timestamp"),
    ("a @ start", "in @, expected timestamp"),
    ("a @ start(1)", "in @, expected timestamp"),
    ("a @ 1 @ 2", "@ <timestamp> may not be set multiple times"),
    ("(a) @ 1", "@ modifier must be preceded by"),
    ("a @ Inf", "timestamp out of bounds for @ modifier"),
    ("a @ NaN", "timestamp out of bounds"),
    ("a @ 2e11", "1:5: parse error: timestamp out of bounds"),
    ("a[5m:] @ 1 @ end()", "multiple times"),
    ("a @ 5m6", "bad number"),
    ("sum", None),
    ("sum 5", 'unexpected number "5" in aggregation'),
    ("sum by", 'in grouping opts, expected "("'),
    ("sum by a (b)", 'in grouping opts, expected "("'),
    ("sum by (a b) (c)", 'expected "," or ")"'),
    ("sum by (5) (c)", "in grouping opts, expected label"),
    ("sum by (,) (c)", "expected label"),
    ("sum by (without) (c)", "expected label"),
    ('sum by ("") (c)', "invalid label name for grouping"),
    ("sum by (a)", "in aggregation"),
    ("sum()", "no arguments for aggregate expression provided"),
    ("sum(a, b)", "wrong number of arguments for aggregate expression provided, expected 1, got 2"),
    ("topk(a)", "expected 2, got 1"),
    ("sum(a) by (b) by (c)", "unexpected <by>"),
    ("sum(1)", "expected type instant vector in aggregation expression, got scalar"),
    ("sum(a[5m])", "got range vector"),
    ("topk(a, b)", "expected type scalar in aggregation parameter, got instant vector"),
    ("count_values(1, a)", "expected type string in aggregation parameter, got scalar"),
    ('quantile("1", a)', "expected type scalar"),
    ("foo(a)", '1:1: parse error: unknown function with name "foo"'),
    ("RATE(a[5m])", 'unknown function with name "RATE"'),
    ("START()", "unknown function"),
    ("rate(a)", 'expected type range vector in call to function "rate", got instant vector'),
    ("rate(a[5m],)", "trailing commas not allowed in function call args"),
    ("rate()", 'expected 1 argument(s) in call to "rate", got 0'),
    ("rate(a[5m], 1)", 'expected 1 argument(s) in call to "rate", got 2'),
    ("hour(a, b)", "expected at most 1 argument(s)"),
    ('label_join(a, "b")', "expected at least 3 argument(s)"),
    ("label_replace(a, b, c, d, e)", "expected type string"),
    ("rate(a[5m] b)", "unexpected identifier"),
    ("time(a)", 'expected 0 argument(s) in call to "time", got 1'),
    ("round(a, 1, 2)", "at most 2"),
    ("info(a, b)", "expected label selectors only, got vector selector instead"),
    ("info(a, (b))", "expected label selectors only"),
    ("info(a, 1)", "expected type instant vector"),
    ("info(1)", "expected type instant vector"),
    ("abs(1)", "got scalar"),
    ('histogram_quantiles(a, "q")', None),
    ("histogram_quantiles(a)", "expected at least 3"),
    ("1 > 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
    ("1 + bool 2", "bool modifier can only be used on comparison operators"),
    ("a[5m] + 1", "binary expression must contain only scalar and instant vector types"),
    ('1 + "a"', "1:5: parse error: binary expression must contain only"),
    ("a + on(b) 1", "vector matching only allowed between instant vectors"),
    ("1 and 2", 'set operator "and" not allowed in binary scalar expression'),
    ("a or 1", "not allowed in binary scalar"),
    ("a and on(b) group_left c", 'no grouping allowed for "and" operation'),
    ("a + on(b) group_left(b) c", '1:3: parse error: label "b" must not occur in ON and GROUP clause at once'),
    ("a + group_left c", "unexpected <group_left>"),
    ("a + on b", "in grouping opts"),
    ("a + on(b) bool c", "unexpected <bool>"),
    ("a + fill(0) 1", "filling in missing series only allowed between instant vectors"),
    ("a and fill(0) b", "filling in missing series not allowed for set operators"),
    ("a + fill(x) b", "in fill modifier, expected number"),
    ("a + fill(1 b", None),
    ("a + fill(1 2) b", 'expected ")"'),
    ("a + fill(1) fill(2) b", "unexpected"),
    ("a + fill_left(1) fill_left(2) b", "unexpected"),
    ("fill(1)", "unexpected"),
    ('-"a"', 'unary expression only allowed on expressions of type scalar or instant vector, got "string"'),
    ("-a[5m]", 'got "range vector"'),
    ("1[5m:]", "subquery is only allowed on instant vector, got scalar instead"),
    ('"a"[5m:]', "got string instead"),
    ("a[5m:][5m:]", "got matrix instead"),
    ("a anchored smoothed", "anchored and smoothed modifiers cannot be used together"),
    ("a[5m] smoothed anchored", "cannot be used together"),
    ("a[5m:] anchored", "anchored modifier is not supported for subqueries"),
    ("1 smoothed", "smoothed modifier must follow an instant or range vector selector"),
    ("a[5m / 0]", "division by zero"),
    ("a[5m % 0]", "modulo by zero"),
    ("a[step]", 'in duration expression, expected "("'),
    ("a[step(1)]", 'in duration expression, expected ")"'),
    ("a[max_of(1m)]", 'expected ","'),
    ("a[max_of(1m,2m,3m)]", 'expected ")"'),
    ("a[(5m]", "unexpected right bracket"),
    ("a[5m +]", "in duration expression"),
    ("a[1e11]", "duration out of range"),
    ("a[5m offset 1m]", "in duration expression: 'o'"),
    ("a offset --", "in offset"),
    ("a offset (5m", "unclosed left parenthesis"),
    ("a offset (5m b)", 'expected ")"'),
    ('a["x"]', "in subquery or range selector"),
    ("()", 'unexpected ")"'),
    ("(a b)", 'unexpected identifier "b"'),
    ('a{b="c"', "inside braces"),
    ('"averylongtext" "another long text"', 'unexpected string "\\"another l"...'),
    ("1 5m", 'unexpected duration "5m"'),
    ("a a:b", 'unexpected metric identifier "a:b"'),
    ("a sum", "unexpected <aggr:sum>"),
    ("a range", 'unexpected "range"'),
]
ACCEPTED = {"sum", 'histogram_quantiles(a, "q")'}


@pytest.mark.parametrize(("query", "text"), [case for case in BAD if case[0] not in ACCEPTED])
def test_a_mistake_is_told_in_words_and_with_its_place(query: str, text: str | None) -> None:
    with pytest.raises(QueryError) as problem:
        parse(query, experimental=True)
    assert problem.value.kind == "bad_data"
    assert problem.value.position in range(len(query) + 1)
    assert "parse error: " in str(problem.value)
    assert text is None or text in str(problem.value)


EXPERIMENTAL = [
    *(f"{name}()" for name in ("start", "end", "step", "range")),
    "limitk(2, a)",
    "limit_ratio(0.5, a)",
    "a anchored",
    "a[5m] smoothed",
    "a[5m * 2]",
    "a[(5m)]",
    "a[step()]",
    "a offset (5m)",
    "a offset -step()",
    "a + fill(0) b",
    "a + fill_left(0) b",
    "info(a)",
    "mad_over_time(a[5m])",
    "max_of(1, 2)",
    'sort_by_label(a, "b")',
    "start_timestamp(a)",
]


@pytest.mark.parametrize("query", EXPERIMENTAL)
def test_what_is_experimental_must_be_asked_for(query: str) -> None:
    assert parse(query, experimental=True).depth >= 1
    with pytest.raises(QueryError, match=r"experimental|not enabled"):
        parse(query)


def test_there_are_as_many_functions_as_in_prometheus() -> None:
    assert len(FUNCTIONS) == 90
    assert sum(function.experimental for function in FUNCTIONS.values()) == 17


HOSTILE = [
    "(" * 5000 + "a" + ")" * 5000,
    "-" * 9000 + "a",
    "a" + "+a" * 9000,
    "a" * 70_000,
    "a" + "[5m:]" * 10_000,
    "a[" + "(" * 9000,
    "a[" + "-" * 9000 + "5m]",
    "sum(" * 3000,
    "a{" * 300,
    "{" + 'a="b",' * 201 + "}",
    "{" + 'a="b" or ' * 200 + 'a="b"}',
    "a" + "^a" * 300,
    "ü" * 40_000,
    "a offset " + "-" * 999,
    "a[" + "max_of(" * 99,
]


@pytest.mark.parametrize("query", HOSTILE, ids=lambda query: query[:12])
def test_a_hostile_query_is_refused(query: str) -> None:
    with pytest.raises(QueryError, match=r"longer than|more than|nested deeper|unexpected"):
        parse(query, experimental=True)


SMALL_STACK = """
import threading
from metrics.promql.parsing import format_query, parse, resolve, tree_of
threading.stack_size(256 * 1024)
done = []
queries = ["(" * 49 + "x" + ")" * 49, "-" * 199 + "x", "x" + " ^ x" * 199, "sum(abs(" * 24 + "x" + "))" * 24]
queries += ["x[" + "-" * 198 + "step()]", "x[" + "(" * 48 + "5m" + ")" * 48 + "]", "x" + " + x" * 199]
def work():
    for query in queries:
        plan = parse(query, experimental=True)
        done.append((format_query(query), tree_of(plan), resolve(plan, 1000, 1000)))
thread = threading.Thread(target=work)
thread.start()
thread.join()
assert len(done) == len(queries)
"""


def test_the_largest_queries_fit_a_thread_with_a_small_stack() -> None:
    ran = subprocess.run([sys.executable, "-c", SMALL_STACK], cwd=Path(__file__).parents[4], check=False, timeout=120)
    assert ran.returncode == 0
