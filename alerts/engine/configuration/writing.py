"""A configuration as YAML: the same content is always the same text."""

from typing import Any

import yaml

from alerts.engine.configuration.substitution import escaped

BASE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
WIDTH = 1000


class Placeholder(str):
    """A text that names a variable, and is written as it is."""

    __slots__ = ()


class _Dumper(BASE):  # type: ignore[misc]
    """Writes texts of several lines as such, and the same thing as often as it is there."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if _has_lines(text) else None)


def _has_lines(text: str) -> bool:
    """Say whether a text is lines people wrote, which a block shows as they are."""
    plain = text.replace("\n", "").isprintable() and "\n" in text.strip("\n")
    return plain and not any(line != line.rstrip() for line in text.split("\n")) and text[0] not in " \n"


def _placeholder(dumper: yaml.SafeDumper, text: Placeholder) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Placeholder, _placeholder)


def yaml_text(content: Any) -> str:
    """Return content as YAML, texts so that their `${` means itself."""
    return str(yaml.dump(_escaped(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH))


def _escaped(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _escaped(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_escaped(value) for value in content]
    return escaped(content) if type(content) is str else content
