"""One table says what each kind of rule knows."""

import pytest

from alerts.rules.fields import SHAPES, KindShape, SpecField
from alerts.rules.kinds import ASKED_KINDS, AskedKind, shapes


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_every_field_says_what_it_is(shape: KindShape) -> None:
    assert "" not in (shape.label, shape.help)
    for field in shape.fields:
        assert "" not in (field.label, field.help), field.name
        assert (field.type == "choice") == bool(field.choices), field.name
        assert not (field.required and field.default is not None), field.name
        assert (field.unit == "seconds") == (field.type == "seconds") == field.name.endswith("_seconds"), field.name


def test_defaults_lie_within_their_bounds() -> None:
    for shape in SHAPES.values():
        for field in shape.fields:
            if field.least is not None and field.default is not None:
                assert field.least <= field.default <= (field.most or field.default), (shape.kind, field.name)
    assert SHAPES["dynamic"].defaults["factor"] == 1.2
    assert SHAPES["absence"].field("missing_seconds") is not None
    assert SHAPES["absence"].field("nothing") is None


def test_a_kind_of_another_app_brings_its_fields_and_what_it_does_not_describe_is_json() -> None:
    kind = AskedKind(
        label="Thing", keys=frozenset({"a", "b"}), problems=lambda _spec: {}, ask=lambda *_: [],
        fields=(SpecField(name="b", type="number", label="B", help="A number."),),
    )  # fmt: skip
    shape = kind.shape("thing")
    assert [(field.name, field.type) for field in shape.fields] == [("b", "number"), ("a", "json")]
    assert shape.keys == kind.keys


def test_all_kinds_that_can_be_used_have_a_shape() -> None:
    assert set(shapes()) == set(SHAPES) | {name for name, _ in ASKED_KINDS.filled()}
