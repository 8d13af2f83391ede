"""Fills a template in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts.engine.templates.fields import fields_of
from alerts.engine.templates.formatting import shown
from alerts.engine.templates.functions import KINDS, Callee
from alerts.engine.templates.mistakes import TemplateFailed, place_of
from alerts.engine.templates.nodes import (
    Action,
    Branch,
    Chain,
    Command,
    Constant,
    Dot,
    Field,
    Function,
    Include,
    Leave,
    Nil,
    Node,
    Operand,
    Pipe,
    Template,
    Text,
    Variable,
    written,
)
from alerts.engine.templates.values import truth, type_name

DEEPEST_CALLS = 50


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one template may do: nodes visited, and letters written or held in one text."""

    steps: int = 50_000
    letters: int = 65_536


NO_BOUNDS_GIVEN = Bounds()
NOTHING_BEFORE = object()


class _Broken(Exception):
    """`break` or `continue`, on its way to its loop."""


def execute(
    template: Template,
    data: Any,
    functions: Mapping[str, Callee],
    *,
    name: str,
    variables: Mapping[str, Any] | None = None,
    bounds: Bounds = NO_BOUNDS_GIVEN,
) -> str:
    """Return the text of a template; raises TemplateFailed."""
    run = _Run(template, functions, name, bounds)
    names = [("$", data), *(variables or {}).items()]
    run.names = [[each, value] for each, value in names]
    run.nodes(template.body, data)
    return "".join(run.pieces)


@dataclass(slots=True)
class _Run:
    template: Template
    functions: Mapping[str, Callee]
    name: str
    bounds: Bounds
    names: list[list[Any]] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    letters: int = 0
    steps: int = 0
    calls: int = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps > self.bounds.steps:
            raise TemplateFailed(f"template: {self.name}: more than {self.bounds.steps} steps")

    def write(self, text: str) -> None:
        self.letters += len(text)
        if self.letters > self.bounds.letters:
            raise TemplateFailed(f"template: {self.name}: the text is longer than {self.bounds.letters} letters")
        self.pieces.append(text)

    def nodes(self, nodes: Sequence[Node], dot: Any) -> None:
        for node in nodes:
            self.step()
            match node:
                case Text(text=text):
                    self.write(text)
                case Action(pipe=pipe):
                    value = self.pipe(pipe, dot)
                    if not pipe.variables:
                        self.write("<no value>" if value is None else shown(value))
                case Branch():
                    self.branch(node, dot)
                case Include():
                    self.include(node, dot)
                case Leave(word=word):
                    raise _Broken(word)

    def branch(self, node: Branch, dot: Any) -> None:
        known = len(self.names)
        if node.word == "range":
            self.loop(node, dot)
        else:
            value = self.pipe(node.pipe, dot)
            inner = value if node.word == "with" and truth(value) else dot
            self.nodes(node.then if truth(value) else node.otherwise, inner)
        del self.names[known:]

    def loop(self, node: Branch, dot: Any) -> None:
        known = len(self.names)
        value = self.pipe(node.pipe, dot, loops=True)
        items = self.items(node, value)
        for key, item in items:
            self.step()
            del self.names[known:]
            self.bind(node.pipe, key, item)
            try:
                self.nodes(node.then, item)
            except _Broken as left:
                if left.args[0] == "break":
                    break
        if not items:
            self.nodes(node.otherwise, dot)

    def items(self, node: Branch, value: Any) -> list[tuple[Any, Any]]:
        if isinstance(value, list):
            return list(enumerate(value))
        if isinstance(value, dict) and type_name(value).startswith("map"):
            return sorted(value.items())
        if isinstance(value, int) and not isinstance(value, bool):
            if value > self.bounds.steps:
                raise self.failed(node.pipe, f"more than {self.bounds.steps} steps")
            return [(place, place) for place in range(value)]
        if value is None:
            return []
        raise self.failed(node.pipe, f"range can't iterate over {shown(value)[:100]}")

    def bind(self, pipe: Pipe, key: Any, item: Any) -> None:
        if not pipe.variables:
            return
        values = [item] if len(pipe.variables) == 1 else [key, item]
        for name, value in zip(pipe.variables, values, strict=True):
            self.store(name, value, declares=pipe.declares)

    def store(self, name: str, value: Any, *, declares: bool) -> None:
        if declares:
            self.names.append([name, value])
            return
        self.row(name)[1] = value

    def row(self, name: str) -> list[Any]:
        found: list[Any] | None = next((row for row in reversed(self.names) if row[0] == name), None)
        if found is None:
            raise TemplateFailed(f"template: {self.name}: undefined variable: {name}")
        return found

    def include(self, node: Include, dot: Any) -> None:
        body = self.template.defined.get(node.name)
        if body is None:
            raise self.failed(node, f'template "{node.name}" not defined')
        self.calls += 1
        if self.calls > DEEPEST_CALLS:
            raise self.failed(node, f"templates call each other more than {DEEPEST_CALLS} deep")
        value = None if node.pipe is None else self.pipe(node.pipe, dot)
        outer, self.names = self.names, [["$", value]]
        self.nodes(body, value)
        self.names = outer
        self.calls -= 1

    # Values.

    def failed(self, node: Operand | Command | Include, message: str) -> TemplateFailed:
        words = written(node)
        words = f"{words[:20]}..." if len(words) > 20 else words
        where = f"template: {self.name}:{place_of(self.template.text, node.at)}"
        return TemplateFailed(f'{where}: executing "{self.name}" at <{words}>: {message}')

    def pipe(self, pipe: Pipe, dot: Any, *, loops: bool = False) -> Any:
        value: Any = NOTHING_BEFORE
        for command in pipe.commands:
            self.step()
            value = self.command(command, dot, value)
            if isinstance(value, str) and len(value) > self.bounds.letters:
                raise self.failed(command, f"a text is longer than {self.bounds.letters} letters")
        if not loops:
            for name in pipe.variables:
                self.store(name, value, declares=pipe.declares)
        return value

    def command(self, command: Command, dot: Any, before: Any) -> Any:
        first, others = command.operands[0], command.operands[1:]
        match first:
            case Function():
                return self.call(command, first, others, dot, before)
            case Field() | Variable() | Chain():
                return self.fields(first, dot, [self.value(one, dot) for one in others], before)
        if others or before is not NOTHING_BEFORE:
            raise self.failed(first, f"can't give argument to non-function {written(first)}")
        if isinstance(first, Nil):
            raise self.failed(command, "nil is not a command")
        return self.value(first, dot)

    def value(self, operand: Operand, dot: Any) -> Any:
        self.step()
        match operand:
            case Dot():
                return dot
            case Nil():
                return None
            case Constant(value=value):
                return value
            case Function():
                return self.call(operand, operand, (), dot, NOTHING_BEFORE)
            case Pipe():
                return self.pipe(operand, dot)
            case Field() | Variable() | Chain():
                return self.fields(operand, dot, [], NOTHING_BEFORE)

    def fields(self, operand: Field | Variable | Chain, dot: Any, given: list[Any], before: Any) -> Any:
        match operand:
            case Field():
                start = dot
            case Variable(name=name):
                start = self.row(name)[1]
            case Chain(inner=inner):
                start = self.value(inner, dot)
        arguments = given if before is NOTHING_BEFORE else [*given, before]
        try:
            return fields_of(start, operand.names, arguments)
        except TemplateFailed as problem:
            raise self.failed(operand, str(problem)) from None

    def call(
        self, node: Command | Function, function: Function, others: Sequence[Operand], dot: Any, before: Any
    ) -> Any:
        if function.name in ("and", "or"):
            return self.decided(function, others, dot, before)
        callee = self.functions[function.name]
        arguments = [self.argument(callee, place, one, dot) for place, one in enumerate(others)]
        if before is not NOTHING_BEFORE:
            arguments.append(before)
        try:
            callee.checked(function.name, arguments)
        except TemplateFailed as problem:
            raise self.failed(node, str(problem)) from None
        work: Callable[..., Any] = callee.call
        try:
            return work(*arguments)
        except (TemplateFailed, ValueError, OverflowError) as problem:
            raise self.failed(node, f"error calling {function.name}: {problem}") from None

    def argument(self, callee: Callee, place: int, operand: Operand, dot: Any) -> Any:
        value = self.value(operand, dot)
        wanted = callee.kinds[place] if place < len(callee.kinds) else object
        if isinstance(operand, Constant) and not isinstance(value, wanted):
            raise self.failed(operand, f"expected {KINDS[wanted]}; found {operand.text}")
        if not isinstance(value, wanted):
            raise self.failed(operand, f"wrong type for value; expected {KINDS[wanted]}; got {type_name(value)}")
        return value

    def decided(self, function: Function, others: Sequence[Operand], dot: Any, before: Any) -> Any:
        value = before
        for one in others:
            value = self.value(one, dot)
            if truth(value) is (function.name == "or"):
                return value
        if value is NOTHING_BEFORE:
            raise self.failed(function, f"wrong number of args for {function.name}: want at least 1 got 0")
        return value if before is NOTHING_BEFORE else before
