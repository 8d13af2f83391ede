"""The tree of a template; `at` is the offset of a node in its text."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Dot:
    """What the template looks at."""

    at: int


@dataclass(frozen=True, slots=True)
class Nil:
    """No value."""

    at: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text or a truth value, and how it was written."""

    value: int | float | str | bool
    at: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """Fields of what the template looks at."""

    names: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable and fields of it."""

    name: str
    names: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Function:
    """A function by its name."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of what something in parentheses gives."""

    inner: "Operand"
    names: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Command:
    """An operand, or a function with its arguments."""

    operands: tuple["Operand", ...]
    at: int


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands, each of which gets what the one before gave; the result goes to the declared or assigned variables."""

    variables: tuple[str, ...]
    declares: bool
    commands: tuple[Command, ...]
    at: int


Operand: TypeAlias = Dot | Nil | Constant | Field | Variable | Function | Chain | Pipe


@dataclass(frozen=True, slots=True)
class Text:
    """A text that stands as it is."""

    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Action:
    """A pipe whose result is shown, unless it goes to a variable."""

    pipe: Pipe
    at: int


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`."""

    word: str
    pipe: Pipe
    then: tuple["Node", ...]
    otherwise: tuple["Node", ...]
    at: int


@dataclass(frozen=True, slots=True)
class Include:
    """Another template, shown here."""

    name: str
    pipe: Pipe | None
    at: int


@dataclass(frozen=True, slots=True)
class Leave:
    """`break` or `continue`."""

    word: str
    at: int


Node: TypeAlias = Text | Action | Branch | Include | Leave


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text and the templates it defines."""

    text: str
    body: tuple[Node, ...]
    defined: dict[str, tuple[Node, ...]]


def written(node: Operand | Command | Include) -> str:
    """Return a part of a template in Go's own layout, for messages."""
    match node:
        case Dot() | Nil():
            return "." if isinstance(node, Dot) else "nil"
        case Constant(text=text):
            return text
        case Field(names=names):
            return "".join(f".{name}" for name in names)
        case Variable(name=name, names=names):
            return ".".join((name, *names))
        case Function(name=name):
            return name
        case Chain(inner=inner, names=names):
            return ".".join((f"({written(inner)})" if isinstance(inner, Pipe) else written(inner), *names))
        case Command(operands=operands):
            return " ".join(f"({written(one)})" if isinstance(one, Pipe) else written(one) for one in operands)
        case Pipe(commands=commands, variables=variables, declares=declares):
            target = f"{', '.join(variables)} {':=' if declares else '='} " if variables else ""
            return target + " | ".join(written(one) for one in commands)
        case Include(name=name, pipe=pipe):
            return f'{{{{template "{name}"{"" if pipe is None else " " + written(pipe)}}}}}'
