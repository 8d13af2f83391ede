"""From a template's text to its tree."""

from collections.abc import Callable, Collection
from functools import lru_cache

from alerts.engine.templates.lexing import Token, tokens_of
from alerts.engine.templates.literals import char_of, number_of, text_of
from alerts.engine.templates.mistakes import BadTemplate, line_of
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
)

LONGEST_BYTES = 65_536
DEEPEST = 50
BLOCKS = ("if", "range", "with")
WORDS = frozenset({*BLOCKS, "else", "end", "define", "block", "template", "break", "continue"})
WRITTEN: dict[str, Callable[[str], int | float | str]] = {"string": text_of, "raw": text_of, "char": char_of,
                                                          "number": number_of}  # fmt: skip


@lru_cache(maxsize=2048)
def parse(text: str, functions: frozenset[str], variables: tuple[str, ...] = ()) -> Template:
    """Return the tree of a template that may call these functions and use these variables; raises BadTemplate."""
    if len(text.encode("utf-8", "replace")) > LONGEST_BYTES:
        raise BadTemplate(f"longer than {LONGEST_BYTES} bytes")
    return _Parser(text, functions, variables).template()


class _Parser:
    def __init__(self, text: str, functions: Collection[str], variables: tuple[str, ...]) -> None:
        self.text, self.functions = text, functions
        self.tokens = list(tokens_of(text))
        self.place = self.depth = self.ranges = 0
        self.known = ["$", *variables]
        self.defined: dict[str, tuple[Node, ...]] = {}

    # Words.

    def wrong(self, message: str, token: Token | None = None) -> BadTemplate:
        return BadTemplate(f"{line_of(self.text, (token or self.next).at)}: {message}")

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        token = self.tokens[self.place]
        self.place += token.kind != "end"
        return token

    def skip_space(self) -> Token:
        while self.next.kind == "space":
            self.place += 1
        return self.next

    def is_mark(self, mark: str) -> bool:
        return self.next.kind == "mark" and self.next.text == mark

    def close(self, where: str) -> None:
        if self.skip_space().kind != "right":
            raise self.unexpected(where)
        self.place += 1

    def unexpected(self, where: str, token: Token | None = None) -> BadTemplate:
        token = token or self.next
        if token.kind == "end":
            return self.wrong("unexpected EOF", token)
        return self.wrong(f"unexpected {token.text.strip()[:40]!r} in {where}".replace("'", '"'), token)

    # Bodies.

    def template(self) -> Template:
        body, ending = self.body(top=True)
        if ending:
            raise self.wrong(f"unexpected {{{{{ending}}}}}")
        return Template(self.text, body, self.defined)

    def body(self, *, top: bool = False) -> tuple[tuple[Node, ...], str]:
        """Return nodes up to `else`, `end` or the end of the text, and which of them it was."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"nested more than {DEEPEST} deep")
        nodes: list[Node] = []
        while self.next.kind != "end":
            token = self.take()
            if token.kind == "text":
                nodes.append(Text(token.text, token.at))
                continue
            word = self.skip_space()
            if word.kind == "identifier" and word.text in ("else", "end"):
                self.place += 1
                self.depth -= 1
                return tuple(nodes), word.text
            nodes += self.action(token, top=top)
        if not top:
            raise self.wrong("unexpected EOF")
        return tuple(nodes), ""

    def action(self, left: Token, *, top: bool) -> list[Node]:
        word = self.next.text if self.next.kind == "identifier" else ""
        if word not in WORDS:
            pipe = self.pipe("command")
            return [Action(pipe, left.at)]
        self.place += 1
        if word in BLOCKS:
            return [self.branch(word, left)]
        if word == "define":
            if not top:
                raise self.wrong("unexpected {{define}}")
            self.define("define clause")
            return []
        if word in ("break", "continue"):
            if not self.ranges:
                raise self.wrong(f"{{{{{word}}}}} outside {{{{range}}}}")
            self.close(word)
            return [Leave(word, left.at)]
        return [self.include(word)]

    def branch(self, word: str, left: Token) -> Branch:
        known = len(self.known)
        pipe = self.pipe(word, loops=word == "range")
        self.ranges += word == "range"
        then, ending = self.body()
        self.ranges -= word == "range"
        otherwise: tuple[Node, ...] = ()
        if ending == "else":
            otherwise = self.otherwise(word, left)
        else:
            self.close("end")
        del self.known[known:]
        return Branch(word, pipe, then, otherwise, left.at)

    def otherwise(self, word: str, left: Token) -> tuple[Node, ...]:
        chained = self.skip_space()
        if chained.kind == "identifier" and chained.text == word and word != "range":
            # `else if` and `else with` share the end of the outer one.
            self.place += 1
            self.depth += 1
            if self.depth > DEEPEST:
                raise self.wrong(f"nested more than {DEEPEST} deep")
            inner = self.branch(word, left)
            self.depth -= 1
            return (inner,)
        self.close("else")
        nodes, ending = self.body()
        if ending != "end":
            raise self.wrong("expected end; found {{else}}")
        self.close("end")
        return nodes

    def name(self, where: str) -> str:
        token = self.skip_space()
        if token.kind not in ("string", "raw"):
            raise self.unexpected(where)
        self.place += 1
        return text_of(token.text)

    def define(self, where: str) -> None:
        name = self.name(where)
        self.close(where)
        body = self.apart(where)
        # A definition that is empty but for blanks does not replace one that is not.
        if any(not isinstance(node, Text) or node.text.strip() for node in body) or name not in self.defined:
            self.defined[name] = body

    def apart(self, where: str) -> tuple[Node, ...]:
        """Read a body that sees nothing of what is around it."""
        known, self.known, ranges, self.ranges = self.known, ["$"], self.ranges, 0
        body, ending = self.body()
        if ending != "end":
            raise self.wrong(f"unexpected {{{{else}}}} in {where}")
        self.close("end")
        self.known, self.ranges = known, ranges
        return body

    def include(self, word: str) -> Include:
        where = f"{word} clause"
        at = self.skip_space().at
        name = self.name(where)
        if word == "template" and self.skip_space().kind == "right":
            self.place += 1
            return Include(name, None, at)
        pipe = self.pipe(where)
        if word == "block":
            self.defined[name] = self.apart("block clause")
        return Include(name, pipe, at)

    # Pipes.

    def pipe(self, where: str, *, loops: bool = False, end: str = "right") -> Pipe:
        at = self.skip_space().at
        names, declares = self.targets(loops=loops)
        commands: list[Command] = []
        while True:
            self.skip_space()
            if self.next.kind == "right" or self.is_mark(")"):
                self.finish_pipe(where, commands, end)
                break
            if self.next.kind == "end":
                raise self.wrong("unclosed action")
            commands.append(self.command(where, first=not commands))
        return Pipe(tuple(names), declares, tuple(commands), at)

    def finish_pipe(self, where: str, commands: list[Command], end: str) -> None:
        if not commands:
            raise self.wrong(f"missing value for {where}")
        if end != (")" if self.is_mark(")") else "right"):
            raise self.unexpected(where)
        self.place += 1

    def targets(self, *, loops: bool) -> tuple[list[str], bool]:
        """Read `$x :=`, `$x =` or, where something is ranged over, `$i, $x :=`."""
        start = self.place
        names: list[str] = []
        while self.skip_space().kind == "variable" and len(names) < 2:
            names.append(self.take().text)
            after = self.skip_space()
            if after.kind == "declare" or self.is_mark("="):
                self.place += 1
                declares = after.kind == "declare"
                self.known += names
                return names, declares
            if not (loops and self.is_mark(",")):
                break
            self.place += 1
        self.place = start
        return [], False

    def command(self, where: str, *, first: bool) -> Command:
        at = self.next.at
        operands: list[Operand] = []
        while True:
            self.skip_space()
            if self.next.kind in ("right", "end") or self.is_mark(")"):
                break
            if self.is_mark("|"):
                self.place += 1
                break
            operands.append(self.operand(where))
            if self.next.kind not in ("space", "right") and not (self.is_mark("|") or self.is_mark(")")):
                raise self.unexpected("operand")
        if not operands:
            raise self.wrong("empty command")
        if not first and not isinstance(operands[0], Function | Field | Variable | Chain | Pipe):
            raise self.wrong("non executable command in pipeline stage")
        return Command(tuple(operands), at)

    def operand(self, where: str) -> Operand:
        term = self.term(where)
        at = self.next.at
        names: list[str] = []
        while self.next.kind == "field":
            names.append(self.take().text[1:])
        if not names:
            return term
        match term:
            case Field(names=before):
                return Field((*before, *names), at)
            case Variable(name=name, names=before):
                return Variable(name, (*before, *names), at)
            case Constant() | Nil() | Dot():
                raise self.wrong("unexpected . after term")
        return Chain(term, tuple(names), at)

    def term(self, where: str) -> Operand:
        token = self.take()
        if token.kind == "identifier":
            return self.identifier(token)
        if token.kind == "variable":
            if token.text not in self.known:
                raise self.wrong(f'undefined variable "{token.text}"', token)
            return Variable(token.text, (), token.at)
        if token.kind == "field":
            return Field((token.text[1:],), token.at)
        if token.kind in WRITTEN:
            return self.constant(token)
        if token.kind == "mark" and token.text == ".":
            return Dot(token.at)
        if token.kind == "mark" and token.text == "(":
            self.depth += 1
            if self.depth > DEEPEST:
                raise self.wrong(f"nested more than {DEEPEST} deep")
            inner = self.pipe("parenthesized pipeline", end=")")
            self.depth -= 1
            return inner
        raise self.unexpected(where, token)

    def constant(self, token: Token) -> Constant:
        try:
            return Constant(WRITTEN[token.kind](token.text), token.at, token.text)
        except ValueError as problem:
            raise self.wrong(str(problem), token) from None

    def identifier(self, token: Token) -> Operand:
        if token.text in ("true", "false"):
            return Constant(token.text == "true", token.at, token.text)
        if token.text == "nil":
            return Nil(token.at)
        if token.text not in self.functions:
            raise self.wrong(f'function "{token.text}" not defined', token)
        return Function(token.text, token.at)
