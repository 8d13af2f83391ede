"""Attributes: what a value is as the text of a label."""

import base64
import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import orjson

KeyValue = Any
AnyValue = Any


def number_text(value: float) -> str:
    """Return a number without an exponent and with no more digits than it needs."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def _double_text(value: float) -> str:
    if math.isfinite(value) and value and not 1e-6 <= abs(value) < 1e21:
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{exponent}" if exponent else mantissa
    return number_text(value)


def value_text(value: AnyValue) -> str:
    """Return the text of a value: lists and maps are JSON, bytes base64, truth lower case."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    if kind is None:
        return ""
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "int_value":
        return str(value.int_value)
    if kind == "double_value":
        return _double_text(value.double_value)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return orjson.dumps(_nested(value)).decode()


def _nested(value: AnyValue) -> object:
    """Return what JSON is made of; the decoder has bounded the depth."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_nested(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _nested(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return value_text(value)
    return None if kind is None else getattr(value, kind)


def texts_of(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Return attributes by name, rising."""
    return dict(sorted((pair.key, value_text(pair.value)) for pair in attributes))
