"""Rules joined by and, or, not: reading, truth with three values, joining on labels, cycles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.engine.composite import (
    LONGEST,
    BadComposite,
    Component,
    Expression,
    Joined,
    Named,
    Not,
    Standing,
    Truth,
    cycle_from,
    found,
    holds_when_nothing_fires,
    names_in,
    parse,
    truth_of,
)

NAMES = ("a", "high_cpu", "not", "two words", 'say "x"', "back\\slash", "Größe")


def written(expression: Expression) -> str:
    """Write an expression with every pair of parentheses it may have."""
    if isinstance(expression, Named):
        return '"' + expression.name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(expression, Not):
        return f"not ({written(expression.inner)})"
    return f" {expression.word} ".join(f"({written(part)})" for part in expression.parts)


expressions = st.recursive(
    st.sampled_from(NAMES).map(Named),
    lambda inner: st.one_of(
        inner.map(Not),
        st.builds(Joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@given(expressions)
def test_what_is_written_is_read_back(expression: Expression) -> None:
    assert parse(written(expression)) == expression


def test_and_binds_closer_than_or_and_not_closest() -> None:
    assert parse("a or not b and c") == Joined("or", (Named("a"), Joined("and", (Not(Named("b")), Named("c")))))
    assert parse("A AND b\n Or c") == Joined("or", (Joined("and", (Named("A"), Named("b"))), Named("c")))
    assert parse("high_cpu and not 'maintenance flag'") == Joined(
        "and", (Named("high_cpu"), Not(Named("maintenance flag")))
    )
    assert parse("disk.full-1:x") == Named("disk.full-1:x")


@given(expressions, st.dictionaries(st.sampled_from(NAMES), st.sampled_from([True, False, None])))
def test_what_is_decided_stays_so_whatever_is_unknown(expression: Expression, known: dict[str, Truth]) -> None:
    truth = truth_of(expression, known.get)
    if truth is None:
        return
    for filling in (True, False):
        filled = {name: filling if known.get(name) is None else known[name] for name in NAMES}
        assert truth_of(expression, filled.__getitem__) is truth


@given(expressions, st.fixed_dictionaries({name: st.booleans() for name in NAMES}))
def test_truth_is_that_of_python(expression: Expression, known: dict[str, bool]) -> None:
    def plain(each: Expression) -> bool:
        if isinstance(each, Named):
            return known[each.name]
        if isinstance(each, Not):
            return not plain(each.inner)
        return (all if each.word == "and" else any)(plain(part) for part in each.parts)

    assert truth_of(expression, known.__getitem__) is plain(expression)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "It is empty"),
        ("a and", "It ends where the name of a rule, not, or ( is expected"),
        ("a b", "Character 3: and, or, or the end is expected, not 'b'. Put the name in quotes"),
        ("and a", "Character 1: the name of a rule, not, or ( is expected, not 'and'"),
        ("(a or b", "It ends where a ) for the ( at character 1 is expected"),
        ("a)", "Character 2"),
        ("a && b", "Character 3: '&' means nothing here"),
        ("'a", "Character 1: the quote ' is never closed"),
        ("a and ' '", "Character 7: a name is missing between the quotes"),
        ("(" * 31 + "a" + ")" * 31, "nested deeper than 30"),
        ("not " * 31 + "a", "nested deeper than 30"),
        (" or ".join(f"r{i}" for i in range(51)), "names more than 50 rules"),
        ("a" * (LONGEST + 1), "longer than"),
    ],
)
def test_what_cannot_be_read_says_where_and_what_to_write(text: str, message: str) -> None:
    with pytest.raises(BadComposite) as caught:
        parse(text)
    assert message in str(caught.value)


@given(st.text(alphabet="ab ()'\"\\notdr&", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    said = ""
    names: list[str] = []
    try:
        names = names_in(parse(text))
    except BadComposite as error:
        said = str(error)
    assert bool(said) != bool(names)


def fires(*labels: dict[str, str]) -> Component:
    return Component([Standing(each) for each in labels])


def test_without_labels_to_join_on_there_is_one_answer() -> None:
    rules = {"cpu": fires({"host": "a"}, {"host": "b"}), "flag": fires()}
    (one,) = found(parse("cpu and not flag"), rules)
    assert (one.labels, one.truth, one.parts) == ({}, True, {"cpu": True, "flag": False})
    assert found(parse("cpu and flag"), rules) == []


def test_joined_on_labels_each_value_is_an_answer_and_what_lacks_the_label_counts_for_all() -> None:
    rules = {"cpu": fires({"host": "a"}, {"host": "b"}), "flag": fires({"host": "b"}), "all": fires({"site": "x"})}
    assert [each.labels for each in found(parse("cpu and not flag"), rules, ("host",))] == [{"host": "a"}]
    assert [each.labels for each in found(parse("cpu and all"), rules, ("host",))] == [{"host": "a"}, {"host": "b"}]
    assert found(parse("cpu and not all"), rules, ("host",)) == []


def test_several_labels_are_joined_by_what_a_label_set_has_of_them() -> None:
    rules = {"disk": fires({"host": "a", "mount": "/"}, {"host": "b", "mount": "/"}), "cpu": fires({"host": "a"})}
    assert [each.labels for each in found(parse("disk and cpu"), rules, ("host", "mount"))] == [
        {"host": "a", "mount": "/"}
    ]


def test_a_rule_that_cannot_be_told_makes_the_answer_unknown_unless_the_others_decide() -> None:
    rules = {"cpu": fires({}), "lost": Component([Standing({}, None)]), "never": Component(known=False)}
    assert [each.truth for each in found(parse("cpu and lost"), rules)] == [None]
    assert [each.truth for each in found(parse("cpu or lost"), rules)] == [True]
    assert [each.truth for each in found(parse("cpu and not never"), rules)] == [None]
    assert found(parse("not cpu and never"), rules) == []


def test_a_group_that_fires_is_looked_at_though_no_rule_has_its_labels_now() -> None:
    rules = {"cpu": Component(known=False)}
    assert found(parse("cpu"), rules, ("host",)) == []
    assert [each.truth for each in found(parse("cpu"), rules, ("host",), also=[{"host": "a"}])] == [None]


def test_a_name_that_is_no_rule_is_an_error() -> None:
    with pytest.raises(LookupError, match="no rule 'gone'"):
        found(parse("a or gone"), {"a": fires()})


def test_what_holds_when_nothing_fires_has_no_labels_to_join_on() -> None:
    assert holds_when_nothing_fires(parse("not a or b"))
    assert not holds_when_nothing_fires(parse("b and not a"))


def test_a_way_back_to_the_rule_itself_is_named() -> None:
    joins = {"b": ["c", "x"], "c": ["d", "a"], "x": ["x"]}
    assert cycle_from("a", parse("b"), joins) == ["a", "b", "c", "a"]
    assert cycle_from("a", parse("not a"), joins) == ["a", "a"]
    assert cycle_from("e", parse("x or c"), joins) == []
