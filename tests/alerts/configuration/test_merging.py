"""Three-way merge: nothing that only one side said is lost, and what both said differently is told."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alerts.engine.configuration.merging import differences, joined, leaves, merged
from alerts.engine.configuration.ordering import order_merged, woven

FIELDS = st.fixed_dictionaries(
    {
        "a": st.integers(0, 2),
        "b": st.integers(0, 2),
        "labels": st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2)),
    }
)
NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


@given(base=FIELDS, console=FIELDS, file=FIELDS)
def test_each_field_is_whose_changed_it_and_a_conflict_where_both_did(
    base: dict[str, Any], console: dict[str, Any], file: dict[str, Any]
) -> None:
    both = merged(base, console, file, {})
    was, here, there, after = leaves(base), leaves(console), leaves(file), leaves(both.fields)
    told = {one.path for one in both.conflicts}
    for path in {*was, *here, *there}:
        sides = was.get(path), here.get(path), there.get(path)
        both_moved = sides[1] != sides[0] and sides[2] != sides[0]
        assert (path in told) == (both_moved and sides[1] != sides[2])
        expected = sides[2] if sides[1] == sides[0] else sides[1]
        assert after.get(path) == expected


@given(base=FIELDS, console=FIELDS, file=FIELDS)
def test_a_choice_decides_every_conflict(base: dict[str, Any], console: dict[str, Any], file: dict[str, Any]) -> None:
    for chosen, side in (("file", leaves(file)), ("console", leaves(console))):
        both = merged(base, console, file, {"*": chosen})  # type: ignore[dict-item]
        for one in both.conflicts:
            assert leaves(both.fields).get(one.path) == side.get(one.path)


@given(fields=FIELDS)
def test_leaves_are_joined_again(fields: dict[str, Any]) -> None:
    assert joined(leaves(fields), fields) == fields
    assert differences(fields, fields) == []


def test_without_a_base_the_file_decides_what_it_mentions() -> None:
    both = merged(None, {"a": 1, "labels": {"x": 1}, "kept": 3}, {"a": 2, "labels": {"y": 2}}, {})
    assert (both.fields, both.conflicts) == ({"a": 2, "labels": {"y": 2}, "kept": 3}, ())


@given(first=NAMES, second=NAMES)
def test_weaving_keeps_the_first_order_and_loses_no_name(first: list[str], second: list[str]) -> None:
    found = woven(first, second)
    assert [name for name in found if name in first] == first
    assert sorted(found) == sorted({*first, *second})


def test_the_order_is_whose_changed_it() -> None:
    assert order_merged(["a", "b"], ["a", "b", "mine"], ["b", "a"], None).names == ["b", "mine", "a"]
    assert order_merged(["a", "b"], ["b", "a"], ["a", "b", "new"], None).names == ["b", "new", "a"]
    assert order_merged(["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"], None).conflict
    assert order_merged(["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"], "file").names == ["b", "a", "c"]
