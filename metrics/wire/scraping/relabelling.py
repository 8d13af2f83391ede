"""Relabelling: steps that rewrite, keep or drop a label set, as Prometheus defines them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

import re2

Labels = dict[str, str]
LEGACY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251 - our own constant, linear
TEMPLATE = re.compile(r"\$(?:\$|([0-9A-Za-z_]+)|\{([0-9A-Za-z_]+)\})")  # noqa: TID251 - our own constant, linear
DEFAULT_REGEX, DEFAULT_REPLACEMENT, DEFAULT_SEPARATOR = "(.*)", "$1", ";"
MAX_PATTERN = 10_000


class BadRelabelling(ValueError):
    """A step that cannot be carried out as it is written."""


class Action(StrEnum):
    """What a step does."""

    REPLACE = "replace"
    KEEP = "keep"
    DROP = "drop"
    KEEPEQUAL = "keepequal"
    DROPEQUAL = "dropequal"
    HASHMOD = "hashmod"
    LABELMAP = "labelmap"
    LABELDROP = "labeldrop"
    LABELKEEP = "labelkeep"
    LOWERCASE = "lowercase"
    UPPERCASE = "uppercase"


NEEDS_TARGET = frozenset({Action.REPLACE, Action.HASHMOD, Action.LOWERCASE, Action.UPPERCASE, Action.KEEPEQUAL,
                          Action.DROPEQUAL})  # fmt: skip
CASES = frozenset({Action.LOWERCASE, Action.UPPERCASE})
EQUALS = frozenset({Action.KEEPEQUAL, Action.DROPEQUAL})
ON_NAMES = frozenset({Action.LABELDROP, Action.LABELKEEP})


@dataclass(frozen=True, slots=True)
class Step:
    """One relabelling step; `check` tells whether it makes sense."""

    action: Action = Action.REPLACE
    source_labels: tuple[str, ...] = ()
    separator: str = DEFAULT_SEPARATOR
    regex: str = DEFAULT_REGEX
    modulus: int = 0
    target_label: str = ""
    replacement: str = DEFAULT_REPLACEMENT
    legacy_names: bool = field(default=False, kw_only=True)

    def check(self) -> None:
        """Raise BadRelabelling where the fields do not fit the action."""
        pattern_of(self.regex)
        action = self.action
        if action is Action.HASHMOD and not self.modulus:
            raise BadRelabelling("hashmod needs a modulus above 0")
        if action in NEEDS_TARGET and not self.target_label:
            raise BadRelabelling(f"{action} needs a target_label")
        if action in NEEDS_TARGET and not self._target_fits():
            raise BadRelabelling(f"{self.target_label!r} is not a target_label for {action}")
        if action is Action.LABELMAP and not self._name_fits(self.replacement, template=True):
            raise BadRelabelling(f"{self.replacement!r} is not a replacement for labelmap")
        self._check_extras()

    def _check_extras(self) -> None:
        action = self.action
        plain = (self.regex, self.separator, self.modulus, self.replacement) == (
            DEFAULT_REGEX, DEFAULT_SEPARATOR, 0, DEFAULT_REPLACEMENT,
        )  # fmt: skip
        if action in CASES and self.replacement != DEFAULT_REPLACEMENT:
            raise BadRelabelling(f"{action} takes no replacement")
        if action in EQUALS and not plain:
            raise BadRelabelling(f"{action} takes source_labels and target_label, and nothing else")
        rest = (self.source_labels, self.target_label, self.modulus, self.separator, self.replacement)
        if action in ON_NAMES and rest != ((), "", 0, DEFAULT_SEPARATOR, DEFAULT_REPLACEMENT):
            raise BadRelabelling(f"{action} takes a regex, and nothing else")

    def _target_fits(self) -> bool:
        return self._name_fits(self.target_label, template=self.action is Action.REPLACE)

    def _name_fits(self, name: str, *, template: bool) -> bool:
        if template and TEMPLATE.search(name):
            name = TEMPLATE.sub("x", name)
        return bool(name) and (not self.legacy_names or bool(LEGACY_NAME.fullmatch(name)))


@lru_cache(maxsize=4096)
def pattern_of(expression: str) -> Any:
    """Compile a regular expression that must match a whole text; RE2 takes time linear in the text."""
    if len(expression) > MAX_PATTERN:
        raise BadRelabelling(f"a regular expression of {len(expression)} characters, at most {MAX_PATTERN} are taken")
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        return re2.compile(f"^(?:{expression})$", options)
    except re2.error as problem:
        raise BadRelabelling(f"{expression[:200]!r} is not a regular expression: {problem}") from None


def expanded(template: str, found: Any) -> str:
    """Return a replacement with the groups of a match in the place of `$1`, `${name}`; `$$` is a dollar sign."""

    def group(place: re.Match[str]) -> str:
        name = place[1] or place[2]
        if name is None:
            return "$"
        try:
            return str(found.group(int(name) if name.isdigit() else name) or "")
        except (IndexError, KeyError):
            return ""

    return TEMPLATE.sub(group, template) if "$" in template else template


def _hashed(text: str, modulus: int) -> str:
    # The low half of an MD5, big-endian: what Prometheus spreads targets by. Nothing is protected by it.
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return str(int.from_bytes(digest[8:], "big") % modulus)


def _put(labels: Labels, name: str, value: str) -> None:
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)


def _replace(step: Step, labels: Labels, text: str) -> None:
    found = pattern_of(step.regex).match(text)
    if found is None:
        return
    target = expanded(step.target_label, found)
    if target and (not step.legacy_names or LEGACY_NAME.fullmatch(target)):
        _put(labels, target, expanded(step.replacement, found))


def _on_names(step: Step, labels: Labels) -> Labels:
    pattern = pattern_of(step.regex)
    if step.action is Action.LABELMAP:
        mapped = dict(labels)
        for name, value in labels.items():
            if (found := pattern.match(name)) is not None:
                _put(mapped, expanded(step.replacement, found), value)
        return mapped
    kept = step.action is Action.LABELKEEP
    return {name: value for name, value in labels.items() if (pattern.match(name) is not None) is kept}


def _stays(step: Step, labels: Labels, text: str) -> bool:
    if step.action in EQUALS:
        return (labels.get(step.target_label, "") == text) is (step.action is Action.KEEPEQUAL)
    return (pattern_of(step.regex).match(text) is not None) is (step.action is Action.KEEP)


DECIDING = EQUALS | {Action.KEEP, Action.DROP}


def relabelled(labels: Mapping[str, str], steps: Sequence[Step]) -> Labels | None:
    """Return the label set after all steps, None where one of them drops it."""
    result = {name: value for name, value in labels.items() if value}
    for step in steps:
        if step.action in ON_NAMES or step.action is Action.LABELMAP:
            result = _on_names(step, result)
            continue
        text = step.separator.join([result.get(name, "") for name in step.source_labels])
        if step.action in DECIDING:
            if not _stays(step, result, text):
                return None
        elif step.action is Action.REPLACE:
            _replace(step, result, text)
        elif step.action is Action.HASHMOD:
            result[step.target_label] = _hashed(text, step.modulus)
        else:
            _put(result, step.target_label, text.lower() if step.action is Action.LOWERCASE else text.upper())
    return result
