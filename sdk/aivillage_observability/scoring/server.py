"""Server-side code in a value: what an interpreter, a template engine or a deserialiser would run."""

import re
from collections.abc import Iterator

from aivillage_observability.scoring.score import Reason, excerpt

_RUNNERS = (
    "shell_exec|passthru|proc_open|popen|pcntl_exec|system|exec|phpinfo|base64_decode|create_function"
    "|call_user_func(?:_array)?|file_get_contents|file_put_contents|fopen|readfile|unserialize|move_uploaded_file"
)
# What may stand between a name and its bracket where a filter looks for both side by side.
_GAP = r"(?:/\*[^*]{0,40}\*/|(?:\#|//)[^\n]{0,40}\n|[\r\n]{1,4}\s{0,4})"
_SHAPES = tuple(
    (code, text, weight, re.compile(pattern, re.IGNORECASE))
    for code, text, weight, pattern in (
        (
            "program_call",
            "a call that runs a program",
            0.7,
            (
                rf"\b(?:os\.system|os\.popen|subprocess\.\w|runtime\.getruntime|processbuilder|kernel\.\w{{2,8}}|io\.popen"
                rf"|{_RUNNERS})\(\s?(?:['\"$)\w\u201c]|\))|\b(?:{_RUNNERS})\s\(\s?['\"$]|\b(?:{_RUNNERS})\s{{0,4}}{_GAP}\s{{0,4}}(?:{_GAP})?\("
                rf"|\bassert\s?\(\s?['\"$]|[('\"](?:{_RUNNERS}|assert)\s{{0,4}}['\")]\s?\)?\s?\(|%x\{{\w|\bqx\s?[{{(]\s?\w"
            ),
        ),
        (
            "server_code",
            "code a server would run",
            0.8,
            (
                r"<\?(?:php|=|\s|$|xml\s{0,4}:(?!namespace))|<!--\s?#\s?(?:exec|include|echo|config|printenv|set|fsize|flastmod)\b|\(\)\s?\{\s?[:;_]"
                r"|\$\{jndi:|\$\{\$?\{?(?:lower|upper|env):|[\[{][/\\]?php[\]}]|@\{\s{0,8}\["
            ),
        ),
        (
            "remote_include",
            "includes code from elsewhere, or from what was sent",
            0.7,
            r"\b(?:include|require)(?:_once)?\s?\(?\s?['\"\u201c]?(?:https?:|ftp:|\$_)|\$_(?:get|post|request|cookie|server|files)\s?\[",
        ),
        (
            "called_variable",
            "calls whatever a variable names",
            0.7,
            (
                rf"\$[A-Za-z_$][\w$]{{0,40}}(?:\[[^\]\[]{{0,40}}\]|\{{[^}}{{]{{0,20}}\}}|{_GAP}|\s(?=/)){{0,6}}\([^)\s]{{0,60}}\)"
                r"|\$\s?\{\s?[@$][^}]{1,40}\}|\{\$\{\w"
            ),
        ),
        (
            "node_code",
            "code of a JavaScript server",
            0.7,
            (
                r"_\$\$ND_FUNC\$\$_|\bprocess\s?[\[.]\s?['\"]?(?:env|mainmodule|binding|exit|kill|req\.)|\bchild_process\b|\bmodule\.exports\s?="
                r"|^\s?(?:new\s)?\(?require\s?[(\[]|;\s?require\s?[(\[]|(?:^|;)\s?console\.(?:log|info|debug|warn|error)\s?[.(]"
                r"|^while\s?\([^;]{1,40}\)\s?;?\s?$"
            ),
        ),
        (
            "java_gadget",
            "a class that turns stored objects into code",
            0.7,
            (
                r"\bjava\.lang\.(?:runtime|process\w{0,8}|class|system)\b|\b(?:clone|invoker|instantiate|chained|constant)transformer\b"
                r"|\b(?:for|while)closure\b|\b(?:instantiate|prototypeclone|prototypeserialization)factory\b|^rO0AB[\w+/]|\xac\xed\x00\x05"
            ),
        ),
        (
            "template_statement",
            "a statement of a template engine",
            0.7,
            r"\{%[-\s]{0,2}\s?(?:if|for|set|import|include|block|raw|debug|extends)\b|[#*~]\{[^{}]{0,60}(?:\d\s?\*\s?\d|\bT\(|\bnew\s|getclass)",
        ),
    )
)

# Without one of these a shape cannot match, and looking for them is much quicker.
_NEEDS = {
    "program_call": ("(", "{"),
    "node_code": ("nd_func", "process", "child_", "exports", "require", "console", "while"),
    "java_gadget": ("java.lang", "transformer", "closure", "factory", "ro0a", "\xac"),
}


def server_reasons(text: str) -> Iterator[Reason]:
    """Yield what of a program for the server is in a value."""
    lowered = text.lower()
    for code, what, weight, pattern in _SHAPES:
        if code in _NEEDS and not any(part in lowered for part in _NEEDS[code]):
            continue
        match = pattern.search(text)
        if match is not None:
            yield Reason(code, what, weight, excerpt(text, match.start(), match.end() + 20))
