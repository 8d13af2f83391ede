"""Types: whether every part of a tree takes what it is given."""

from typing import NoReturn

from metrics.promql.labels import NAME, matches
from metrics.promql.syntax.functions import DOCUMENTED, ValueType
from metrics.promql.syntax.mistakes import mistake
from metrics.promql.syntax.strings import quoted
from metrics.promql.syntax.tokens import PARAMETERISED
from metrics.promql.syntax.tree import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregation,
    BinaryExpr,
    Expr,
    FunctionCall,
    MatrixSelector,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
)

OPERANDS = frozenset({"scalar", "vector"})


def check(expr: Expr, query: str) -> None:
    """Refuse a tree whose types do not fit; raises QueryError."""
    _Check(query).of(expr)


class _Check:
    def __init__(self, query: str) -> None:
        self.query = query

    def of(self, expr: Expr) -> ValueType:
        match expr:
            case VectorSelector():
                self._selector(expr)
            case MatrixSelector(selector=selector):
                self._selector(selector)
            case FunctionCall():
                self._call(expr)
            case Aggregation():
                self._aggregation(expr)
            case BinaryExpr():
                self._binary(expr)
            case ParenExpr(expr=inner):
                self.of(inner)
            case UnaryExpr():
                self._unary(expr)
            case SubqueryExpr(expr=inner):
                found = self.of(inner)
                if found != "vector":
                    self._fail(expr, f"subquery is only allowed on instant vector, got {found} instead")
        return expr.type

    def _fail(self, expr: Expr, message: str) -> NoReturn:
        raise mistake(self.query, expr.place[0], message)

    def _expect(self, expr: Expr, wanted: ValueType, context: str) -> None:
        found = self.of(expr)
        if found != wanted:
            self._fail(expr, f"expected type {DOCUMENTED[wanted]} in {context}, got {DOCUMENTED[found]}")

    def _selector(self, selector: VectorSelector, *, may_match_all: bool = False) -> None:
        every = [matcher for matchers in selector.alternatives for matcher in matchers]
        if selector.name:
            for matcher in every:
                if matcher.name == NAME:
                    twice = f"{quoted(selector.name)} or {quoted(matcher.value)}"
                    self._fail(selector, f"metric name must not be set twice: {twice}")
        elif not may_match_all and all(matches({}, (matcher,)) for matcher in every):
            self._fail(selector, "vector selector must contain at least one non-empty matcher")

    def _aggregation(self, node: Aggregation) -> None:
        self._expect(node.expr, "vector", "aggregation expression")
        if node.op in PARAMETERISED and node.parameter is not None:
            wanted: ValueType = "string" if node.op == "count_values" else "scalar"
            self._expect(node.parameter, wanted, "aggregation parameter")

    def _unary(self, node: UnaryExpr) -> None:
        found = self.of(node.expr)
        if found not in OPERANDS:
            kind = quoted(DOCUMENTED[found])
            allowed = "unary expression only allowed on expressions of type scalar or instant vector"
            self._fail(node, f"{allowed}, got {kind}")

    def _call(self, node: FunctionCall) -> None:
        self._count(node)
        takes = node.function.takes
        if node.function.name == "info" and len(node.arguments) > 1:
            self._info(node)
        for place, argument in enumerate(node.arguments):
            if node.function.name == "info" and place == 1 and isinstance(argument, VectorSelector):
                self._selector(argument, may_match_all=True)
                continue
            wanted = takes[min(place, len(takes) - 1)]
            self._expect(argument, wanted, f"call to function {quoted(node.function.name)}")

    def _count(self, node: FunctionCall) -> None:
        function, given = node.function, len(node.arguments)
        call = f"in call to {quoted(function.name)}, got {given}"
        if function.variadic == 0:
            if given != len(function.takes):
                self._fail(node, f"expected {len(function.takes)} argument(s) {call}")
            return
        least = len(function.takes) - 1
        if given < least:
            self._fail(node, f"expected at least {least} argument(s) {call}")
        most = least + function.variadic
        if function.variadic > 0 and given > most:
            self._fail(node, f"expected at most {most} argument(s) {call}")

    def _info(self, node: FunctionCall) -> None:
        chosen = node.arguments[1]
        if chosen.type != "vector":
            kind = DOCUMENTED[chosen.type]
            self._fail(node, f'expected type instant vector in call to function "info", got {kind}')
        if not isinstance(chosen, VectorSelector):
            self._fail(chosen, "expected label selectors only")
        if chosen.name:
            self._fail(chosen, "expected label selectors only, got vector selector instead")

    def _binary(self, node: BinaryExpr) -> None:
        left, right = self.of(node.left), self.of(node.right)
        compares = node.op in COMPARISONS
        if node.returns_bool and not compares:
            self._fail_at_operator(node, "bool modifier can only be used on comparison operators")
        if compares and not node.returns_bool and left == right == "scalar":
            self._fail_at_operator(node, "comparisons between scalars must use BOOL modifier")
        both = set(node.modifiers.labels) & set(node.modifiers.include)
        if both and node.modifiers.on:
            text = f"label {quoted(min(both))} must not occur in ON and GROUP clause at once"
            self._fail_at_operator(node, text)
        for side, found in ((node.left, left), (node.right, right)):
            if found not in OPERANDS:
                self._fail(side, "binary expression must contain only scalar and instant vector types")
        if node.matching is None:
            self._with_number(node)
        elif node.op in SET_OPERATORS:
            self._set(node)

    def _fail_at_operator(self, node: BinaryExpr, message: str) -> NoReturn:
        raise mistake(self.query, node.op_place[0], message)

    def _with_number(self, node: BinaryExpr) -> None:
        if node.modifiers.labels:
            self._fail(node, "vector matching only allowed between instant vectors")
        if _fills(node):
            self._fail(node, "filling in missing series only allowed between instant vectors")
        if node.op in SET_OPERATORS:
            self._fail(node, f"set operator {quoted(node.op)} not allowed in binary scalar expression")

    def _set(self, node: BinaryExpr) -> None:
        if node.modifiers.side != "many-to-many":
            self._fail(node, f"no grouping allowed for {quoted(node.op)} operation")
        if _fills(node):
            self._fail(node, "filling in missing series not allowed for set operators")


def _fills(node: BinaryExpr) -> bool:
    return node.modifiers.fill_left is not None or node.modifiers.fill_right is not None
