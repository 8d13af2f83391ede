"""Reads text as SQL: a string of one-letter token kinds, over which `sql_shapes` looks for what attacks are made of.

    n number   s string   u string that never ends   b null, true, current_user   w word   v @variable   V @@variable
    q end of the literal the text began in, Q the same where that literal reads like prose, 0 where it was empty
    f function with its bracket next      g function that sleeps, reads files or leaks errors
    & and or   ! not      = comparison   o arithmetic   * star   ( ) , ; .   x any other sign
    c comment that ends the text   k comment with words in it
    U union    S select   F from   W where, having   B order by, group by   L limit   I into   C case when   J join, on
    T statement (drop, insert, exec …)   O object of one (table, database …)   Z set   D delay, xp_…, system tables

Comments inside are white space, and `/*! … */` is its content, as in MySQL. Brackets that only group are left out after
an operator, and closing ones counted once. Each token is taken by one match that cannot fail or go back, so reading is
linear.
"""

import re
from dataclasses import dataclass
from typing import Literal

TOKENS_MAX = 4000
Quote = Literal["", "'", '"']

_TOKEN = re.compile(
    r"""
    (?P<space>[\s\x00-\x20\ufffd]++)
  | (?P<version>/\*!\d{0,6}+)
  | (?P<inner>/\*(?:[^*]|\*(?!/))*+(?P<closed>\*/)?)
  | (?P<line>--[^\n]*+|\#[^\n]*+)
  | (?P<single>(?:(?<![\w'"])[nNbBxXeE])?'(?:[^'\\]|\\.|'')*+(?P<single_end>')?)
  | (?P<double>"(?:[^"\\]|\\.|"")*+(?P<double_end>")?)
  | (?P<back>`[^`]*+`?)
  | (?P<number>0[xX][0-9a-fA-F]++|\\N\b
    |(?:\d++(?:\.\d*+)?|\.\d++)[eE]\d++(?=(?i:union|and|or|select|from|where|group|order))|\d++(?:\.\d*+)?[dDfFeE](?=(?i:union|and|or|select|from|where|group|order))
    |\d++(?:\.\d*+)?(?:[eE][+-]?\d*+)?(?![A-Za-z_])|\.\d++|\d++)
  | (?P<server>@@[\w.$`]++)
  | (?P<variable>\?|(?<!\w)@[\w.$`]*+|\:[A-Za-z]\w*+)
  | (?P<word>[A-Za-z_\u0080-\ufffc$][\w$]*+)
  | (?P<shift><<|>>)
  | (?P<compare><=>|<>|!=|>=|<=|==|:=|!<|!>|\^=|[=<>])
  | (?P<logic>&&|\|\|)
  | (?P<star>\*/?)
  | (?P<arithmetic>[-+/%^|&~])
  | (?P<mark>\(++|\)++|!++|[,;.])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

_WORDS = {
    "&": "and or xor",
    "!": "not",
    "=": "like rlike regexp ilike glob is in between similar sounds isnull notnull",
    "o": "div mod collate",
    "b": "null true false current_user current_timestamp current_date session_user system_user localtime sysdate",
    "U": "union intersect except",
    "S": "select",
    "F": "from",
    "W": "where having",
    "L": "limit offset fetch",
    "I": "into outfile dumpfile",
    "C": "case when then else end",
    "J": "join on using",
    "Z": "set",
    "T": "drop insert update delete create alter truncate load exec execute declare shutdown waitfor merge grant revoke"
    " call replace rename copy backup restore kill handler exists",
    "O": "table database view procedure function trigger index schema column tables databases user role login",
    "D": "delay openrowset opendatasource information_schema pg_catalog sysobjects syscolumns sqlite_master dbms_output"
    " utl_http utl_inaddr utl_file dbms_pipe dbms_lock sysusers syslogins sysdatabases all_tables all_tab_columns"
    " all_tab_tables all_users dba_users dba_tables user_tables user_tab_columns pg_shadow pg_user pg_tables"
    " pg_stat_activity msysobjects msysaces mysql.user sys.tables sys.objects sys.columns sys.databases rdb$database"
    " syscat.tables sysibm.sysdummy1 v$version v$instance master..sysdatabases",
}
KINDS = {word: kind for kind, words in _WORDS.items() for word in words.split()}

LEAKY = frozenset(
    """
    sleep benchmark pg_sleep load_file extractvalue updatexml randomblob generate_series exp name_const polygon
    geometrycollection multipoint linestring multilinestring multipolygon get_lock release_lock row_count
    load_extension receive_message get_host_address get_host_name drithsx.sn xmltype make_set elt convert_to
    sys_eval sys_exec regexp_substring crypt_key procedure analyse pg_read_file lo_import dblink_connect
    xp_cmdshell openrowset opendatasource utl_inaddr utl_http dbms_pipe ctxsys unhex group_concat concat_ws
    gtid_subset
    """.split()  # noqa: SIM905
)
CALLS = frozenset(
    """
    abs ascii ord bin char chr cast convert concat count substr substring mid left right length len lower upper
    lcase ucase hex md5 sha1 sha2 version database user current_user system_user session_user schema db_name
    user_name host_name if ifnull nullif iif coalesce floor ceil ceiling round rand random row min max sum avg now
    sysdate to_char to_number char_length character_length bit_length octet_length position instr locate strcmp
    find_in_set repeat reverse space lpad rpad ltrim rtrim trim replace insert overlay conv compress uncompress
    encode decode aes_encrypt aes_decrypt des_encrypt password old_password encrypt sqrt pow power mod sign log
    exp pi isnull is_srvrolemember quote quotename json_extract json_keys likelihood likely unlikely zeroblob
    typeof values nvl rawtohex string_agg array_agg array_to_string ascii2 unicode nchar varchar datename getdate
    object_id col_name serverproperty table_name column_name inet_ntoa inet_aton uuid last_insert_id connection_id
    found_rows date_add xmlagg xmlelement listagg utl_raw cast_to_raw pg_client_encoding current_database
    current_schema inet_server_addr quote_ident sin cos tan asin acos atan cot degrees radians ln log2 log10
    truncate soundex format elt bit_count crc32 uuid_short interval binary least greatest datediff year month day
    hour minute second curdate curtime unix_timestamp from_unixtime sqlite_version changes total_changes
    group_concat cast_as json_value xmlquery extract translate initcap
    """.split()  # noqa: SIM905
)
# Whatever they are called: functions of these families are the server's own business.
_SYSTEM_CALLS = ("pg_read", "pg_ls", "pg_sleep", "pg_stat", "dbms_", "utl_", "lo_", "xp_", "sp_oa", "fn_xe", "fn_trace")
_PACKAGES = ("utl_", "dbms_", "ctxsys", "sys", "pg_", "user_lock")
_UNARY_AFTER = frozenset("&!=o(,;SWULTIBCJ")


@dataclass(frozen=True, slots=True)
class Sql:
    """A text read as SQL: kinds, where each token begins and its text, and how often a comment stood for a space."""

    kinds: str
    starts: tuple[int, ...]
    words: tuple[str, ...]
    hidden: int

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Return where in the text the tokens from `first` up to `last` stand."""
        end = self.starts[last - 1] + len(self.words[last - 1])
        return self.starts[first], end


class _Reader:
    def __init__(self, text: str, quote: Quote) -> None:
        self.text = text
        self.quote = quote
        self.kinds: list[str] = []
        self.starts: list[int] = []
        self.words: list[str] = []
        self.hidden = 0

    def add(self, kind: str, at: int, word: str) -> None:
        if kind == "=" and self.kinds and self.kinds[-1] == "=":
            # `sounds like`, `not like`, `= =` are one comparison.
            return
        self.kinds.append(kind)
        self.starts.append(at)
        self.words.append(word)

    def read(self, start: int) -> None:
        at = start
        text = self.text
        match_at = _TOKEN.match
        while at < len(text) and len(self.kinds) < TOKENS_MAX:
            match = match_at(text, at)
            if match is None:
                return
            self._take(match.lastgroup or "other", match)
            at = match.end()

    def _take(self, group: str, match: re.Match[str]) -> None:
        word = match.group()
        at = match.start()
        take = _TAKES.get(group)
        if take is not None:
            take(self, word, at)
        elif group in {"single", "double"}:
            self._string(word, at, closed=match.group(f"{group}_end") is not None)
        elif group == "inner" and not match.group("closed"):
            self._line(word, at)
        elif group in {"inner", "version"} or word == "*/":
            self.hidden += 1
        elif group != "space":
            self.add(_FIXED[group], at, word)

    def _string(self, word: str, at: int, *, closed: bool) -> None:
        if closed:
            self.add("s", at, word)
        else:
            # A literal the host would close must be of the kind the text began in.
            sign = word[1] if word[0].isalpha() else word[0]
            self.add("u" if not self.quote or sign == self.quote else "x", at, word)

    def _line(self, word: str, at: int) -> None:
        if at + len(word) < len(self.text):
            self.hidden += 1
            return
        rest = word.lstrip("-#/*+ ").strip()
        tag = word[0] == "-" and rest.isalnum() and len(rest) <= TAG_CHARS
        self.add("c" if tag or (len(rest) <= COMMENT_CHARS and not any(map(str.isalnum, rest))) else "k", at, word)

    def _arithmetic(self, word: str, at: int) -> None:
        before = self.kinds[-1] if self.kinds else "("
        if word not in "+-~" or before not in _UNARY_AFTER:
            self.add("o", at, word)

    def _mark(self, word: str, at: int) -> None:
        sign = word[0]
        before = self.kinds[-1] if self.kinds else "("
        if not (sign == "(" and before in "&!=o(") and not (sign in ")!" and before == sign):
            self.add(sign, at, word)

    def _word(self, word: str, at: int) -> None:
        lowered = word.lower()
        end = at + len(word)
        called = self.text[end : end + 1] == "("
        before = self.kinds[-1] if self.kinds else ""
        plain = before != "." or self.words[-2:-1] == [] or self.words[-2].lower().startswith(_PACKAGES)
        if (
            (lowered in LEAKY or lowered.startswith(_SYSTEM_CALLS))
            and plain
            and (called or self.text[end : end + 8].lstrip()[:1] == "(")
        ):
            self.add("g", at, word)
        elif lowered in {"binary", "escape"}:
            return
        elif called and lowered in CALLS:
            self.add("f", at, word)
        elif lowered == "by" and before == "w" and self.words[-1].lower() in {"order", "group"}:
            self.kinds[-1] = "B"
        elif before == "." and len(self.kinds) > 1 and self.kinds[-2] in "wvDO":
            self._dotted(word)
        elif before not in {"U", "S"} or lowered not in {"all", "distinct", "distinctrow"}:
            self.add("D" if lowered[:3] in {"xp_", "sp_"} else KINDS.get(lowered, "w"), at, word)

    def _dotted(self, word: str) -> None:
        for part in (self.kinds, self.starts, self.words):
            part.pop()
        whole = f"{self.words[-1]}.{word}"
        self.words[-1] = whole
        if self.kinds[-1] != "D":
            self.kinds[-1] = "D" if whole.lower() in KINDS else "w"


COMMENT_CHARS = 6
TAG_CHARS = 4
PROSE_CHARS = 64
_TAKES = {
    "word": _Reader._word,
    "line": _Reader._line,
    "arithmetic": _Reader._arithmetic,
    "mark": _Reader._mark,
}
_FIXED = {
    "back": "w",
    "number": "n",
    "variable": "v",
    "compare": "=",
    "shift": "o",
    "logic": "&",
    "star": "*",
    "server": "V",
    "other": "x",
}


def _ended(literal: str) -> str:
    if not literal.strip():
        return "0"
    prose = literal.strip().count(" ") > 1 or len(literal) > PROSE_CHARS or any(sign in literal for sign in "?&={(:<")
    return "Q" if prose else "q"


def read(text: str, quote: Quote = "") -> Sql | None:
    """Read text as it stands, or as if it began inside a literal; None where such a literal is never left."""
    start = text.find(quote) + 1 if quote else 0
    if quote and not start:
        return None
    reader = _Reader(text, quote)
    if quote:
        reader.add(_ended(text[: start - 1]), start - 1, quote)
    reader.read(start)
    return Sql("".join(reader.kinds), tuple(reader.starts), tuple(reader.words), reader.hidden)
