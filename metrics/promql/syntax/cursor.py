"""Where the parser stands among the tokens."""

from metrics.promql.syntax.mistakes import mistake
from metrics.promql.syntax.strings import BadText, unquote
from metrics.promql.syntax.tokens import Token, described, tokens_of
from metrics.promql.types import QueryError


class Cursor:
    """Walks the tokens one by one; `token` is the one to be understood next."""

    def __init__(self, query: str, *, experimental: bool) -> None:
        """Stand before the first token."""
        self.query = query
        self.experimental = experimental
        self._tokens = tokens_of(query)
        self._at = 0
        self.last_end = 0
        self.token: Token = self._checked(self._tokens[0])

    def advance(self) -> Token:
        """Return the token and step behind it."""
        token = self.token
        self.last_end = token.end
        self._at += 1
        self.token = self._checked(self._tokens[self._at])
        return token

    def peek(self, ahead: int = 1) -> str:
        """Return the name of a token further on, nothing behind the last."""
        place = self._at + ahead
        return self._tokens[place].name if place < len(self._tokens) else ""

    def at(self, name: str) -> bool:
        """Tell whether the next token has this name."""
        return self.token.name == name

    def at_end(self) -> bool:
        """Tell whether nothing follows."""
        return self.token.kind == "end of input"

    def take(self, name: str) -> Token | None:
        """Step over the next token if it has this name."""
        return self.advance() if self.token.name == name else None

    def expect(self, name: str, context: str, wanted: str) -> Token:
        """Step over the next token, which must have this name."""
        if self.token.name != name:
            raise self.unexpected(context, wanted)
        return self.advance()

    def unexpected(self, context: str = "", wanted: str = "") -> QueryError:
        """Return the error that refuses the next token."""
        where = f" in {context}" if context else ""
        instead = f", expected {wanted}" if wanted else ""
        return self.fail(self.token.start, f"unexpected {described(self.token)}{where}{instead}")

    def fail(self, position: int, message: str) -> QueryError:
        """Return the error that refuses the query for what stands at a place."""
        return mistake(self.query, position, message)

    def text_of(self, token: Token, *, keep_bytes: bool = False) -> str:
        """Return what a string token says."""
        try:
            return unquote(token.text, keep_bytes=keep_bytes)
        except BadText as problem:
            raise mistake(self.query, token.start + problem.at, str(problem)) from problem

    def _checked(self, token: Token) -> Token:
        if token.kind == "error":
            raise self.fail(token.start, token.text)
        return token
