"""What a template may call: a function, the kinds of its arguments, and Go's own functions."""

import html as markup
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from alerts.engine.templates.comparing import equal, less
from alerts.engine.templates.formatting import printed, sprintf
from alerts.engine.templates.mistakes import TemplateFailed
from alerts.engine.templates.values import AnyMap, Sample, Struct, truth, type_name

ANY = object
SCRIPT = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D",
          "\n": "\\u000A", "\r": "\\u000D"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Callee:
    """A function with the kinds of its arguments; the kind `more` is that of any number of further ones."""

    call: Callable[..., Any]
    kinds: tuple[type, ...] = ()
    more: type | None = None

    def checked(self, name: str, arguments: list[Any]) -> None:
        """Refuse arguments that do not fit."""
        wanted, got = len(self.kinds), len(arguments)
        if got < wanted or (got > wanted and self.more is None):
            least = f"at least {wanted}" if self.more is not None else str(wanted)
            raise TemplateFailed(f"wrong number of args for {name}: want {least} got {got}")
        for place, value in enumerate(arguments):
            kind = self.kinds[place] if place < wanted else self.more or ANY
            if not isinstance(value, kind):
                raise TemplateFailed(f"wrong type for value; expected {KINDS[kind]}; got {type_name(value)}")


KINDS: Mapping[type, str] = {str: "string", list: "template.queryResult", Sample: "*template.sample", ANY: "any"}


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, list) or (isinstance(value, dict) and not isinstance(value, Struct)):
        return len(value)
    raise TemplateFailed(f"len of type {type_name(value)}")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = _item(value, key)
    return value


def _item(value: Any, key: Any) -> Any:
    if isinstance(value, dict) and not isinstance(value, Struct):
        if not isinstance(key, str):
            raise TemplateFailed(f"value has type {type_name(key)}; should be string")
        return value.get(key, None if isinstance(value, AnyMap) else "")
    if isinstance(value, list | str):
        return _element(value, key)
    if value is None:
        raise TemplateFailed("index of untyped nil")
    raise TemplateFailed(f"can't index item of type {type_name(value)}")


def _element(value: list[Any] | str, key: Any) -> Any:
    items = value.encode("utf-8", "replace") if isinstance(value, str) else value
    if not isinstance(key, int) or isinstance(key, bool):
        raise TemplateFailed(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key < len(items):
        raise TemplateFailed(f"index out of range: {key}")
    return items[key]


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, str | list) or len(bounds) > 2:
        raise TemplateFailed(f"can't slice item of type {type_name(value)}")
    items: Any = value.encode("utf-8", "replace") if isinstance(value, str) else value
    places = [*bounds, *[0, len(items)][len(bounds) :]]
    low, high = places
    if not all(isinstance(each, int) and 0 <= each <= len(items) for each in places) or low > high:
        raise TemplateFailed(f"index out of range: {low}:{high}")
    part = items[low:high]
    return part.decode("utf-8", "replace") if isinstance(value, str) else part


def html(text: str) -> str:
    """Return a text safe inside HTML, with Go's own spelling of quotes."""
    return markup.escape(text, quote=True).replace("&quot;", "&#34;").replace("&#x27;", "&#39;").replace("\0", "\ufffd")


def _script(text: str) -> str:
    return "".join(SCRIPT.get(letter, letter) for letter in text)


def _all_shown(values: tuple[Any, ...]) -> str:
    return str(values[0]) if len(values) == 1 and isinstance(values[0], str) else printed(values)


def url_query(text: str) -> str:
    """Return a text as a value inside a query string."""
    return quote_plus(text, safe="~")


def _compared(op: str) -> Callable[[Any, Any], bool]:
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "ne": lambda a, b: not equal(a, b), "lt": less, "le": lambda a, b: less(a, b) or equal(a, b),
        "gt": lambda a, b: not (less(a, b) or equal(a, b)), "ge": lambda a, b: not less(a, b),
    }  # fmt: skip
    return tests[op]


def _equals_any(first: Any, *others: Any) -> bool:
    if not others:
        raise TemplateFailed("missing argument for comparison")
    return any(equal(first, other) for other in others)


GO: Mapping[str, Callee] = {
    # `and` and `or` stop at the first argument that decides; the interpreter sees to that.
    "and": Callee(lambda *values: values[-1], (ANY,), ANY),
    "or": Callee(lambda *values: values[-1], (ANY,), ANY),
    "not": Callee(lambda value: not truth(value), (ANY,)),
    "len": Callee(_size, (ANY,)),
    "index": Callee(_index, (ANY,), ANY),
    "slice": Callee(_slice, (ANY,), ANY),
    "print": Callee(lambda *values: printed(values), (), ANY),
    "println": Callee(lambda *values: printed(values, lines=True), (), ANY),
    "printf": Callee(lambda pattern, *values: sprintf(pattern, values), (str,), ANY),
    "html": Callee(lambda *values: html(_all_shown(values)), (), ANY),
    "js": Callee(lambda *values: _script(_all_shown(values)), (), ANY),
    "urlquery": Callee(lambda *values: url_query(_all_shown(values)), (), ANY),
    "eq": Callee(_equals_any, (ANY,), ANY),
    **{op: Callee(_compared(op), (ANY, ANY)) for op in ("ne", "lt", "le", "gt", "ge")},
}
