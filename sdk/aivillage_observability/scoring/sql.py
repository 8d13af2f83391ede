"""SQL injection: the shapes attacks are made of, looked for in each way a text can be read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aivillage_observability.scoring.score import Reason, excerpt
from aivillage_observability.scoring.sql_lexer import Quote, Sql, read

_HINT = re.compile(
    r"""['"`();=<>|&*\#@$]|--|/\*|::|\.e\b|\b(?:select|union|order|group|having|between|like|x?or|and|from|insert|update|delete
    |drop|exec|case|create|declare|truncate|alter)\b""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern over token kinds. `fluent` ones count only where no neighbours are such as no query has."""

    code: str
    text: str
    weight: float
    pattern: re.Pattern[str]
    fluent: bool = False


def _shape(code: str, text: str, weight: float, pattern: str, *, fluent: bool = False) -> Shape:
    return Shape(code, text, weight, re.compile(pattern), fluent)


# All repeats are bounded, so a search is linear in the number of tokens.
SHAPES = (
    _shape(
        "union_select",
        "joins the rows of another query",
        0.9,
        r"U\(?S(?:[nsbuvVgfC*(DxI]|w(?:[,F(=]|\)?c|o|wF)|$|c|;)|[nq0)c]US|U\(S[wO]\)|^\)?Uf\([ns]",
    ),
    _shape("union_fragment", "begins to join another query", 0.5, r"[nq0)]U(?:$|c|\(|w\()"),
    _shape("union_after_sum", "begins to join another query behind a calculation", 0.3, r"[q0n]o[nsw]U(?:$|c|\()"),
    _shape(
        "literal_condition",
        "a condition between literals, true or false by design",
        0.8,
        r"&!?[nsb](?:o[nsb])?\)?!?=!?[nsbfguvVS]",
    ),
    _shape(
        "function_condition",
        "a condition on a database function",
        0.8,
        r"(?:^|[nsbuq0Q)c])&!?[gf]\(|&!?(?:g\(|S|CC|f\([^)]{0,40}\)=)|[=o,&q0]f\(f\(",
    ),
    _shape("word_condition", "a condition on a column", 0.2, r"&!?[wv](?:o[nsw])?\)?!?=!?[nsbu]"),
    _shape("joined_condition", "a condition on a column, joined to a literal", 0.7, r"^(?:n\)?)?&!?w\)?=[nsu]"),
    _shape("function_operand", "compares a column with a query or a function", 0.7, r"&!?[wv]\)?!?=!?[gfSV]"),
    _shape(
        "literal_truth",
        "a condition that is a literal",
        0.7,
        r"(?:^|[nsb]\)?)&!?[nsb]\)?(?:c|&[nsb])|[nsq0]\)?&!?b|^&b",
    ),
    _shape("ended_connective", "a condition that was cut off", 0.7, r"[sq0b]\)?&!?c$"),
    _shape("grouped", "a condition that is a literal, and a clause behind it", 0.7, r"[nq0]\)?&!?n\)?[BW]"),
    _shape("function_sum", "calculates with a function of the database", 0.7, r"^[nq0]?[q0n]of\([sf]"),
    _shape("subquery", "a query inside an expression", 0.8, r"[(=,&o]S(?:[nsbvVgfC*(D]|w[,F(])"),
    _shape(
        "query",
        "a query of its own",
        0.7,
        r"(?:^|[;)nqx0c])S(?:[*fgvVbC(]|[ns][,F]|w,w|wn[wO,*]|w\([snv]|w\([wO]\)F[wD]|[wO]F[wD]\)?(?:$|[cWLBJ;]))",
    ),
    _shape("listed_query", "a query of its own", 0.7, r"^S[wO],[^;x]{1,200}F[wD]", fluent=True),
    _shape("from_where", "the end of a query", 0.7, r"F[wDv]Ww\)?="),
    _shape(
        "stacked_query",
        "a second statement after a semicolon",
        0.8,
        r";\)?(?:T[OIFvD]|S[nsbvVgfC*(w]|D|T[c;$]|Tw\(|Tw\.|Twc|TwZw|w{1,2}\(?[ns]=[ns]|[fg]\(|Cw?=|Tw{1,2}[FIs]|wT\()",
    ),
    _shape(
        "statement", "a statement that changes data or waits", 0.5, r"(?:^|[qnc;)0x])T(?:OwOI|OI?w(?![w&])|[FI][wD]|D)"
    ),
    _shape(
        "change",
        "a statement that changes data",
        0.7,
        r"T[wD]Z[wvD]=|^Zv=|TI[wD](?:\(|[wT]\()|^o?TO[wD](?:$|[c;(])|^Tw;?c$|Tv|T\(v|(?:^|[q0n)])TF[wD](?:$|[c;W])",
    ),
    _shape("delay", "waits or runs a procedure of the server", 0.8, r"T(?:w\.{1,2})?D"),
    _shape("leaky_call", "calls a function that sleeps, reads files or leaks by its errors", 0.7, r"g\("),
    _shape("system_name", "names a table or procedure of the database system", 0.5, r"D"),
    _shape("system_table", "reads a table of the database system", 0.8, r"[FIJ]D"),
    _shape("system_variable", "reads a variable of the server", 0.7, r"Sv|V|[q0]\)?(?:=v|&D)"),
    _shape("ordered", "probes the number of columns", 0.7, r"B[n](?:[,c;)]|$)|Bn\)?c|B[fg]\("),
    _shape(
        "having", "a condition between literals, true or false by design", 0.7, r"W!?[nsb]\)?=[nsbu]|W\(?[nb]\)?&!?[nb]"
    ),
    _shape("case", "a branch of a query", 0.5, r"CC\(?[nswfg]\)?[=oC]"),
    _shape("case_of_literal", "a branch on a literal", 0.7, r"C[nsf]\)?C[nsbwf]|^\)C[ns]C$|CC\(?[ns]\)?C"),
    _shape("literal_case", "a branch on a condition between literals", 0.4, r"CC\(?[ns]=[ns]"),
    _shape("literal_argument", "asks a function about two literals", 0.7, r"f\([nsb]=[nsb]|f\(w=n,n,n"),
    _shape("outfile", "writes a file on the server", 0.8, r"II"),
    _shape("comparison", "compares two literals", 0.4, r"(?:^|[&q0(,;)])[nsb]=[nsbu]"),
    _shape("bare_comparison", "nothing but a comparison of two literals", 0.7, r"^[nsb]=[nsbu]\)?(?:$|o)"),
    _shape(
        "ended_expression",
        "an expression that ends in a comment",
        0.4,
        r"^[^xk;]{0,200}(?:[nsvb]\)|[o&=][nsb])c$",
        fluent=True,
    ),
    _shape("truncated", "cuts off the rest of the query after a literal", 0.8, r"^[q0]\)?;?c$|^0?q\)?;?c|^q\)?;$"),
    _shape("ended_comment", "ends in a comment", 0.3, r"[nsbw)U(]\)?;?c$"),
    _shape(
        "broken_comment",
        "leaves its literal and ends in a comment",
        0.7,
        r"^[q0Q]\)?[&!=o*UBLWI;,][^x]{0,400}c$",
        fluent=True,
    ),
    _shape(
        "broken_expression",
        "leaves its literal and opens it again",
        0.7,
        r"^[q0]\)?[&!=o*,][^x]{1,400}[&=o,(*]!?u$|^q\)?!?=!?u$|^q&!?u$",
        fluent=True,
    ),
    _shape(
        "broken_condition",
        "leaves its literal for a condition",
        0.7,
        r"^[q0Q]\)?&!?(?:[wv]\)?=!?[nsbufgS(]|[nb]\)?$|w\()|^[q0]\)?=[nbfg]\)?$",
        fluent=True,
    ),
    _shape(
        "broken_clause",
        "leaves its literal for a clause",
        0.7,
        r"^[q0Q]\)?o?(?:U[S(]|W\(?[wnsb]\)?=|Bn|W[wnsb]\)?=|Ln|;T|;S|I[Is])",
    ),
)

_OPERANDS = "wnsbvVu"
_ODD = (
    {a + b for a in _OPERANDS for b in _OPERANDS}
    | {a + b for a in "qQ0" for b in _OPERANDS + "fgx("}
    | {a + b for a in _OPERANDS + ")" for b in "fg"}
)


def _fluent(kinds: str) -> bool:
    return not any(kinds[at : at + 2] in _ODD for at in range(len(kinds) - 1))


def _found(sql: Sql, text: str) -> Iterator[Reason]:
    fluent = _fluent(sql.kinds)
    for shape in SHAPES:
        if shape.fluent and not fluent:
            continue
        match = shape.pattern.search(sql.kinds)
        if match is not None:
            first, end = sql.span(match.start(), match.end())
            yield Reason(shape.code, shape.text, shape.weight, excerpt(text, first, end))
    if sql.kinds in {"nc", "nonc", "n*nc"} and sql.words[-1][0] != "#":
        yield Reason("ended_number", "a number that ends in a comment", 0.4, excerpt(text))
    # `foo'|'bar` goes on, where `small "&" sign` quotes a sign.
    if sql.kinds in {"qou", "qo!u"} and (sql.words[1] != "&" or not text[sql.starts[0] - 1].isspace()):
        yield Reason("broken_expression", "leaves its literal and opens it again", 0.7, excerpt(text))
    yield from _same(sql, text)


_SELF = re.compile(r"&!?([wO])\)?=([wO])\)?(c|$|[&;])")


def _same(sql: Sql, text: str) -> Iterator[Reason]:
    """Yield a comparison of a name with itself, or of two names just before the rest is cut off."""
    match = _SELF.search(sql.kinds)
    if match is None:
        return
    left, right = match.start(1), match.start(2)
    if sql.words[left].lower() == sql.words[right].lower() or match.group(3) == "c":
        first, end = sql.span(match.start(), match.end())
        yield Reason("same_condition", "a condition that holds by design", 0.7, excerpt(text, first, end))


_DOCUMENT_STORE = re.compile(
    r"""[\[{,]\s{0,8}["']?\$(?:gte?|lte?|ne|n?in|where|regex|exists|or|and|nor|not|expr|comment|func|elemMatch)["']?\s{0,8}[\]:]""",
)
_TORN_NUMBER = re.compile(r"\b\d{1,8}\.\d{0,8}e\s?[.(]|\b\d{1,8}\.e\s", re.IGNORECASE)
_CAST = re.compile(
    r"[\w)'\"]::(?:int[248]?|integer|bigint|text|varchar|numeric|double precision|regclass|bytea)\b", re.IGNORECASE
)
_TICK_OPERATOR = re.compile(r"^\\?`\s?(?:x?or|and|regexp|r?like|[|&]{2})(?:\s|`|$)", re.IGNORECASE)
_NULL_COMPARED = re.compile(
    r"^(?:not\s)?(?:r?like|regexp|between)\s{1,4}null\b|^is\s{1,4}(?:not\s{1,4})?null$", re.IGNORECASE
)
_NESTED = re.compile(
    r"\b(?:ascii|ord|substr(?:ing)?|mid|hex|conv|length|char_length|left|right|lower|upper|concat)\s?\([^()]{0,20}"
    r"\b(?:ascii|ord|substr(?:ing)?|mid|hex|length|version|database|user|current_user|schema)\s?\(",
    re.IGNORECASE,
)
_UNCALLED = re.compile(
    r"\bselect\s{1,8}(?:pg_\w{2,40}|load_file|xp_\w{2,40}|benchmark)\b|\bsp_password\s{0,4}$", re.IGNORECASE
)
_DELAYED_SCRIPT = re.compile(
    r"['\"]\s?[;)|&}]{1,3}\s?(?:return\b|while\s?\(|do\s?\{|sleep\s?\(|var\s|\w{1,8}\s?=\s?new\s)"
)
_OPERATOR_AFTER_EMPTY = re.compile(
    r"^\s*+(['\"])\s?\)?\s?(?:x?or|and|[|&]{2})\s?\1\1[-+*/%^|&=<>\s]{0,3}\1$", re.IGNORECASE
)
_PATH_QUERY = re.compile(r"\]\s{0,8}\|\s{0,8}/{1,2}[\w*]")
_BETWEEN_QUOTES = re.compile(
    r"\s*+(['\"]) ?(?:[-+*/%^|&=<>!]{1,2}|(?:not )?(?:x?or|and|div|mod|r?like|regexp|is|in|between)) ?\1\s*+",
    re.IGNORECASE,
)
_DIRECTORY = re.compile(
    r"[)*]\s?\(\s?[|&]\s?(?:\(|$)|\)\(\w{1,24}(?:[~<>]=|=\w)|^\*\|$|\)\(&\(|\*\)\(\w|\)\(\w{1,32}=\*|^\*\)+$"
)


def _other_stores(text: str) -> Iterator[Reason]:
    for code, pattern, what in (
        ("document_query", _DOCUMENT_STORE, "operators of a document store"),
        ("directory_query", _DIRECTORY, "a filter of a directory"),
        ("torn_number", _TORN_NUMBER, "a number torn apart to hide a name"),
        ("cast", _CAST, "a cast of PostgreSQL, whose error shows the value"),
        ("nested_call", _NESTED, "a database function inside another"),
        ("tick_operator", _TICK_OPERATOR, "leaves a quoted name for an operator"),
        ("null_compared", _NULL_COMPARED, "nothing but the second half of a comparison"),
        ("named_call", _UNCALLED, "names a function or a trick of the database system"),
        ("store_script", _DELAYED_SCRIPT, "leaves a literal for a script of a document store"),
        ("empty_literals", _OPERATOR_AFTER_EMPTY, "a condition between empty literals"),
        ("path_query", _PATH_QUERY, "joins another path of a document"),
    ):
        match = pattern.search(text)
        if match is not None:
            yield Reason(code, what, 0.7, excerpt(text, match.start(), match.end()))


def _quoted_operator(text: str) -> Iterator[Reason]:
    if _BETWEEN_QUOTES.fullmatch(text):
        yield Reason("quoted_operator", "nothing but an operator between two literals", 0.7, excerpt(text))


_DOUBLED = re.compile(r"""\w(""|'')\)?[^"']{0,20}\1\w{1,20}\1""")


def sql_reasons(text: str) -> list[Reason]:
    """Return the strongest case for an attack among the ways one reading of a text can be lexed."""
    best: list[Reason] = []
    if not _HINT.search(text):
        return best
    quotes: tuple[Quote, ...] = ("", "'", '"')
    # Quotes doubled for a file of commas or for a literal around the text are one each.
    single = text.replace('""', '"').replace("''", "'") if _DOUBLED.search(text) else text
    for way in dict.fromkeys((text, single)):
        for quote in quotes:
            sql = read(way, quote)
            if sql is None:
                continue
            reasons = list(_found(sql, way))
            if sum(reason.weight for reason in reasons) > sum(reason.weight for reason in best):
                best = reasons
    return [*best, *_other_stores(text), *_quoted_operator(text)]
