"""The runner of engine scripts: what it reads, what it compares, where it keeps samples."""

import json
import math

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from metrics.native_histograms.model import ResetHint
from metrics.promql.scripts.durations import BadScript, duration_ms
from metrics.promql.scripts.holding import MemoryShelf
from metrics.promql.scripts.language import Broken, Clear, Eval, Load, commands_of
from metrics.promql.scripts.running import run_script
from metrics.promql.scripts.series import labels_of, points_of, series_of, shifts_of


def outcomes(script):
    return [(case.ok, case.message) for case in run_script(script, MemoryShelf())]


def failures(script):
    return [message for ok, message in outcomes(script) if not ok]


@pytest.mark.parametrize(("text", "wanted"), [("0", 0), ("1h30m", 5_400_000), ("10ms", 10), ("1m30s5ms", 90_005)])
def test_durations_are_read(text, wanted):
    assert duration_ms(text) == wanted


@pytest.mark.parametrize("text", ["", "1", "5 m", "-1m", "1s1h", "9" * 30 + "m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(BadScript, match="not a valid duration"):
        duration_ms(text)


@pytest.mark.parametrize(
    ("line", "labels"),
    [
        ("up 1", {"__name__": "up"}),
        ("up{} 1", {"__name__": "up"}),
        ("up{a=\"b c\", d='}',} 1", {"__name__": "up", "a": "b c", "d": "}"}),
        ('{"a.b", "c d"="e"} 1', {"__name__": "a.b", "c d": "e"}),
        ('{__name__="x", gone=""} 1', {"__name__": "x"}),
        ("{} 1", {}),
    ],
)
def test_labels_are_read(line, labels):
    assert labels_of(line) == (labels, " 1")


@pytest.mark.parametrize("line", ["", '"x" 1', "up{a} 1", 'up{a="b" 1', 'up{"x"} 1', 'up{a="\\q"} 1', "up{a=b} 1"])
def test_labels_that_cannot_be_read_are_refused(line):
    with pytest.raises(BadScript):
        labels_of(line)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 2.5 -3 1e3 .5", [1, 2.5, -3, 1000, 0.5]),
        ("1+2x3", [1, 3, 5, 7]),
        ("10-5x2 7x1", [10, 5, 0, 7, 7]),
        ("-1-1x1", [-1, -2]),
        ("_ 1 _x2 Inf -Inf", [None, 1, None, None, math.inf, -math.inf]),
        ("", []),
    ],
)
def test_points_expand(text, values):
    assert [point.value for point in points_of(text)] == values


def test_nan_and_stale_markers_are_points():
    nan, stale = points_of("NaN stale")
    assert math.isnan(nan.value)
    assert math.isnan(stale.value)


@pytest.mark.parametrize(
    "text", ["one", "1+2", "1x99999999", "_x99999999", "1 2 }}", "{{sum:x}}", "{{what:1}}", "1.2.3"]
)
def test_points_that_cannot_be_read_are_refused(text):
    with pytest.raises(BadScript):
        points_of(text)


def test_too_many_points_are_refused():
    with pytest.raises(BadScript, match="more than"):
        points_of("1x600000 1x600000")


def test_histograms_are_points():
    text = (
        "{{schema:1 sum:-3 count:22 z_bucket:2 z_bucket_w:0.5 buckets:[5 10 7] offset:-1 n_buckets:[1] n_offset:2"
        " counter_reset_hint:gauge}} {{}} {{schema:-53 custom_values:[5 10] buckets:[1 2]}}x1"
    )
    first, empty, *custom = points_of(text)
    held = first.histogram
    assert (held.schema, held.sum, held.count, held.zero_count, held.zero_threshold) == (1, -3, 22, 2, 0.5)
    assert (held.positive, held.positive_spans[0].offset) == ((5, 10, 7), -1)
    assert (held.negative, held.negative_spans[0].offset) == ((1,), 2)
    assert (held.reset_hint, first.hinted, empty.hinted) == (ResetHint.GAUGE, True, False)
    assert [point.histogram.custom_values for point in custom] == [(5, 10), (5, 10)]


def test_histograms_add_up_and_down():
    up = points_of("{{count:1 buckets:[1]}}+{{count:2 buckets:[2]}}x2")
    assert [point.histogram.count for point in up] == [1, 3, 5]
    down = points_of("{{count:5 buckets:[5]}}-{{count:2 buckets:[2]}}x1")
    assert [point.histogram.positive for point in down] == [(5,), (3,)]


@pytest.mark.parametrize(
    "text",
    [
        "{{schema:3}}+{{schema:1}}x2",
        "{{schema:-53 custom_values:[1]}}+{{schema:0 buckets:[1]}}x2",
        "{{counter_reset_hint:maybe}}",
        "{{buckets:5}}",
    ],
)
def test_histograms_that_do_not_add_up_are_refused(text):
    with pytest.raises(BadScript):
        points_of(text)


def test_start_times_expand():
    assert shifts_of("_ -10s -1mx1 0s+5sx2 1s-1sx1 _x2") == [
        None, -10_000, -60_000, -60_000, 0, 5000, 10_000, 1000, 0, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["soon", "1s+1s", "1s*2", "5", "1s2"])
def test_start_times_that_cannot_be_read_are_refused(text):
    with pytest.raises(BadScript):
        shifts_of(text)


def test_a_script_is_read_into_commands():
    script = """
# about this
load_with_nhcb 1m
  a@st -1m _
  a 1 2

clear
eval instant at 5m a
  expect ordered
  expect warn msg: this
  expect info regex: (1|2)
  a 1

eval range from 0 to 5m step 1m a
eval instant at 1m 2
  2
what is this
"""
    load, clear, instant, ranged, scalar, last = commands_of(script)
    assert isinstance(load, Load)
    assert (load.line, load.step_ms, load.starts, load.as_native_too) == (3, 60_000, [[-60_000, None]], True)
    assert isinstance(clear, Clear)
    assert isinstance(instant, Eval)
    assert (instant.query, instant.end_ms, [one.labels["__name__"] for one in instant.series]) == ("a", 300_000, ["a"])
    assert (ranged.is_range, ranged.step_ms, scalar.scalar) == (True, 60_000, 2)
    assert isinstance(last, Broken)


@pytest.mark.parametrize(
    "script",
    [
        "load soon\n a 1",
        "load 1m\n a one",
        "load 1m\n a@st 1s\n b 1",
        "load 1m\n a@st 1s 2s\n a 1",
        "load 1m\n a@st 1s",
        "load_with_nhcb 1m\n a_bucket{le=\"1\"} 5\n a_bucket{le=\"2\"} 4",
        "load_with_nhcb 1m\n a_bucket{le=\"1\"} -5",
        "load_with_nhcb 1m\n a_bucket{le=\"+Inf\"} 5\n a_count 4",
        "eval instant at soon a",
        "eval sometimes a",
        "eval range from 5m to 1m step 1m a",
        "eval instant at 1m a\n a 1 2",
        "eval instant at 1m a\n expect nothing",
        "eval instant at 1m a\n expect warn regex: (",
        "eval instant at 1m a\n expect warn\n expect no_warn",
        "eval instant at 1m a\n expect fail msg: x\n expect fail msg: y",
        "eval instant at 1m a\n expect string a",
        "eval instant at 1m a\n expect string \"\\q\"",
        "eval instant at 1m a\n expect range vector soon",
        "hello",
    ],
)  # fmt: skip
def test_what_cannot_be_read_fails_in_its_place_and_the_rest_runs(script):
    found = outcomes(f"{script}\n\neval instant at 0 1\n  1")
    assert not found[0][0]
    assert found[0][1]
    assert found[-1] == (True, "")


SAMPLES = 'load 1m\n a{i="1"} 1 2 3\n a{i="2"} 4 5 stale\n\n'


@pytest.mark.parametrize(
    "question",
    [
        'eval instant at 1m a\n a{i="1"} 2\n a{i="2"} 5',
        'eval instant at 2m a\n a{i="1"} 3',
        'eval range from 0 to 2m step 1m a\n a{i="1"} 1 2 3\n a{i="2"} 4 5 _',
        "eval instant at 1m sort_desc(a)\n expect ordered\n a{i=\"2\"} 5\n a{i=\"1\"} 2",
        "eval_ordered instant at 1m sort(a)\n a{i=\"1\"} 2\n a{i=\"2\"} 5",
        "eval instant at 1m 1 + 1\n 2",
        "eval range from 0 to 1m step 1m 7\n {} 7 7",
        'eval instant at 1m "x"\n expect string "x"',
        "eval instant at 1m a[1m]\n expect range vector from 1m to 1m step 1m\n a{i=\"1\"} 2\n a{i=\"2\"} 5",
        "eval instant at 1m sum(a) + on() group_right() a + start()\n {i=\"1\"} 69\n {i=\"2\"} 72",
        "eval instant at 0 quantile(2, a)\n expect warn regex: quantile value should be\n {} +Inf",
        "eval_warn instant at 0 quantile(2, a)\n {} +Inf",
        "eval instant at 1m a + on() a\n expect fail regex: found duplicate series",
        "eval_fail instant at 1m a + on() a\n expected_fail_regexp found duplicate",
        "eval_fail instant at 1m a + on() a",
        "eval instant at 1m a offset 1m\n a{i=\"1\"} 1\n a{i=\"2\"} 4",
        "eval instant at 1m sum_over_time(sum(a)[1m:1m] @ 60)\n {} 7",
        "eval instant at 1m hour()\n {} 0",
        "eval instant at 1m none",
    ],
)  # fmt: skip
def test_a_right_answer_passes(question):
    assert failures(SAMPLES + question) == []


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ('eval instant at 1m a\n a{i="1"} 2', "unexpected metric"),
        ('eval instant at 1m a{i="1"}\n a{i="1"} 3', "expected 3"),
        ('eval instant at 1m a{i="1"}\n a{i="1"} 2\n b 2', "not found"),
        ("eval instant at 1m sort_desc(a)\n expect ordered\n a{i=\"1\"} 2\n a{i=\"2\"} 5", "at position"),
        ("eval instant at 1m a\n 1", "expected scalar"),
        ("eval instant at 1m 1\n a 1", "got scalar"),
        ("eval instant at 1m 1\n 2", "expected scalar"),
        ('eval instant at 1m "x"\n expect string "y"', "expected string"),
        ("eval instant at 1m none + \n", "error evaluating"),
        ("eval instant at 1m a\n expect fail", "but got none"),
        ("eval instant at 1m a + on() a\n expect fail msg: other", "but got: found duplicate"),
        ("eval instant at 0 quantile(2, a)\n expect no_warn\n {} +Inf", "unexpected warn"),
        ("eval instant at 0 quantile(2, a)\n expect warn msg: other\n {} +Inf", "expected warn annotation"),
        ("eval instant at 0 quantile(2, a)\n expect warn regex: quantile\n expect info\n {} +Inf", "info annotation"),
        ('eval range from 0 to 2m step 1m a{i="1"}\n a{i="1"} 1 2', "expected 2 points"),
        ('eval range from 0 to 2m step 1m a{i="1"}\n a{i="1"} 1 2 3 4', "cannot return this many"),
        ('eval range from 0 to 2m step 1m a{i="2"}\n a{i="2"} 4 _ 5', "to be at|at 120000"),
        ('eval range from 0 to 2m step 1m a{i="1"}\n a{i="1"} 1 2 4', "expected 4"),
        ("eval range from 0 to 2m step 1m 1\n 1", "expected scalar result, but got a matrix"),
        ('eval range from 0 to 2m step 1m a{i="1"}\n expect ordered\n a{i="1"} 1 2 3', "expected ordered"),
        ('eval range from 0 to 2m step 1m a{i="1"}', "unexpected metric"),
        ("eval instant at 1m a[1m]\n a 1", ""),
        ("eval instant at 1m sum(a) + 0 * time()\n {} 7\n b 1", "not found"),
        ("eval instant at 1m rate(a[5m])\n expect info\n {i=\"1\"} 0.0033333333\n {i=\"2\"} 1", "expected"),
        ("eval instant at 1m count(a @ end())\n expect no_info\n {} 1", "expected 1.0"),
    ],
)  # fmt: skip
def test_a_wrong_answer_fails_and_says_why(question, said):
    (message,) = failures(SAMPLES + question)
    assert message
    assert any(part in message for part in said.split("|"))


def test_clear_forgets_and_the_last_line_of_a_series_counts():
    script = "load 1m\n a 1\n a 2\n\neval instant at 0 a\n a 2\n\nclear\n\neval instant at 0 a"
    assert failures(script) == []


def test_loads_add_up():
    assert failures("load 1m\n a 1\n\nload 2m\n a _ 2\n\neval instant at 2m count_over_time(a[5m])\n {} 2") == []


def test_series_without_points_are_absent():
    assert series_of("a").points == []
    assert failures("load 1m\n a\n\neval instant at 0 a") == []


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "one.test"
    path.write_text(SAMPLES + 'eval instant at 1m a\n a{i="1"} 2\n a{i="2"} 5\n\neval instant at 1m a\n')
    return path


@pytest.mark.django_db
@pytest.mark.parametrize("options", [[], ["--store"]])
def test_the_command_counts_what_passed(script, options, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        call_command("promqltest", str(script), "--failures", "--json", str(tmp_path / "out.json"), *options)
    assert ended.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "passed 1 of 2"
    assert f"{script}: 1 of 2" in lines
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [row["ok"] for row in rows] == [True, False]
    assert set(rows[0]) == {"file", "line", "query", "ok", "message"}


@pytest.mark.django_db
def test_the_store_takes_histograms_and_old_samples_and_forgets_them_between_files(tmp_path, capsys):
    for name in ("one", "two"):
        text = "eval instant at 0 a\n\n" + SAMPLES + 'eval instant at 0 a{i="1"}\n a{i="1"} 1\n'
        (tmp_path / f"{name}.test").write_text(text)
    call_command("promqltest", str(tmp_path), "--store")
    assert capsys.readouterr().out.splitlines()[-1] == "passed 4 of 4"


@pytest.mark.django_db
def test_what_the_store_refuses_fails(tmp_path, capsys):
    (tmp_path / "x.test").write_text('load 1m\n {a="b"} 1\n')
    with pytest.raises(SystemExit):
        call_command("promqltest", str(tmp_path), "--store", "--failures")
    assert "the store refused samples" in capsys.readouterr().out


def test_the_command_says_what_it_cannot_read(tmp_path):
    with pytest.raises(CommandError, match="no scripts"):
        call_command("promqltest", str(tmp_path))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("promqltest", str(tmp_path / "none.test"))
