"""The reader of the environment: loud, exact, and silent about secrets."""

from pathlib import Path

import pytest

from aivillage_console.dev import link_command
from aivillage_console.env import BASE_DIR, LOCAL_ENV_NAME, BadSetting, Config, environment, read
from metrics.wire.otlp.naming import Strategy

KEY = "k" * 40


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("WEB_PORT", "eighty", "a whole number"),
        ("WEB_PORT", "70000", "a port from 1 to 65535"),
        ("PUBLIC_URL", "console.example.org", "an http or https URL with a host"),
        ("SOCKETS_URL", "http://example.org", "a ws or wss URL with a host"),
        ("DATABASE_URL", "mysql://x", "postgresql://"),
        ("REDIS_URL", "unix:///x", "redis://"),
        ("DEBUG", "perhaps", "true, false"),
        ("DEBUG", "", "true, false"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO"),
        ("SENTRY_TRACES_SAMPLE_RATE", "2", "from 0 to 1"),
        ("SENTRY_TRACES_SAMPLE_RATE", "nan", "from 0 to 1"),
        ("RETENTION_DAYS", "0", "above 0"),
        ("WORKER_THREADS", "-1", "above 0"),
        ("OTLP_TRANSLATION", "underscores", "one of UnderscoreEscapingWithSuffixes"),
        ("SECRET_KEY", "short", "at least 32 characters"),
    ],
)
def test_a_bad_value_ends_the_process_with_its_name_and_what_is_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(BadSetting) as refused:
        read({name: value})
    assert name in str(refused.value)
    assert expected in str(refused.value)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_each_translation_of_otlp_is_taken(strategy: Strategy) -> None:
    assert read({"OTLP_TRANSLATION": strategy.value}).otlp_translation == strategy


def test_the_value_of_a_bad_secret_is_never_shown() -> None:
    with pytest.raises(BadSetting) as refused:
        read({"SECRET_KEY": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_a_secret_is_read_from_a_file_without_the_line_end(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    assert read({"SECRET_KEY_FILE": str(file)}).secret_key == KEY


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"SECRET_KEY_FILE.*No such file"):
        read({"SECRET_KEY_FILE": str(tmp_path / "none")})


def test_only_secrets_are_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "port"
    file.write_text("9")
    assert read({"WEB_PORT_FILE": str(file)}).web_port == Config().web_port


def test_nothing_set_means_every_default() -> None:
    assert read({}) == Config()


def test_an_empty_value_means_the_default() -> None:
    assert read({"WEB_PORT": "", "PUBLIC_URL": ""}) == Config()


def test_lists_are_separated_by_commas() -> None:
    assert read({"ALLOWED_HOSTS": "a.example,b.example"}).allowed_hosts == ["a.example", "b.example"]


def test_the_origin_of_the_sockets_follows_the_public_address() -> None:
    assert read({"PUBLIC_URL": "https://c.example", "SOCKETS_PORT": "9"}).sockets_origin == "wss://c.example:9"
    assert read({"SOCKETS_URL": "wss://s.example"}).sockets_origin == "wss://s.example"


def test_the_neighbours_of_a_run_read_what_it_left_in_its_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LOCAL_ENV_NAME).write_text("PUBLIC_URL=http://127.0.0.1:8600\nWEB_PORT=8600\n", encoding="utf-8")
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("WEB_PORT", "8700")
    monkeypatch.delenv("PUBLIC_URL", raising=False)
    found = read(environment())
    assert (found.public_url, found.web_port) == ("http://127.0.0.1:8600", 8700)


def test_the_command_for_a_new_link_names_the_state_directory_only_where_it_is_not_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    usual, own = link_command(Config()), link_command(Config(state_dir="my state"))
    assert usual.endswith(f"{BASE_DIR / 'manage.py'} sign_in_link")
    assert own == f"STATE_DIR='{tmp_path}/my state' {usual}"
