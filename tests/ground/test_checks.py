"""`manage.py check` names each problem of the set-up once, with what to do."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from aivillage_console import checks


def ids(found: list[Any]) -> list[str]:
    assert all(message.hint for message in found)
    return [message.id for message in found]


def configure(settings: Any, **changed: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, **changed)


def test_the_set_up_of_the_tests_is_sound(db: None) -> None:
    assert run_checks(databases=["default"]) == []


def test_a_missing_secret_key_is_an_error(settings: Any) -> None:
    configure(settings, secret_key="")
    assert ids(checks.secret_key()) == ["console.E001"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", []),
        ("http://localhost:8000", []),
        ("https://console.example.org", []),
        ("http://console.example.org", ["console.W005"]),
        ("http://192.168.1.5:8000", ["console.W005"]),
        ("https://console.example.org/watch", ["console.E004"]),
        ("https://console.example.org/", ["console.E004"]),
    ],
)
def test_the_public_address_is_an_origin_and_https_unless_it_is_local(
    settings: Any, url: str, expected: list[str]
) -> None:
    configure(settings, public_url=url)
    assert ids(checks.public_url()) == expected


def test_the_shared_directory_of_the_metrics_must_exist(settings: Any, tmp_path: Path) -> None:
    configure(settings, prometheus_multiproc_dir=str(tmp_path))
    assert checks.multiproc_dir() == []
    configure(settings, prometheus_multiproc_dir=str(tmp_path / "none"))
    assert ids(checks.multiproc_dir()) == ["console.E006"]


def test_field_keys_are_long_and_wanted_where_the_console_is_public(settings: Any) -> None:
    configure(settings, field_keys=["short"])
    assert ids(checks.field_keys()) == ["console.E007"]
    configure(settings, field_keys=[])
    settings.HTTPS = True
    assert ids(checks.field_keys()) == ["console.W008"]
    settings.HTTPS = False
    assert checks.field_keys() == []


def test_the_state_directory_is_private(settings: Any, tmp_path: Path) -> None:
    state = tmp_path / "state"
    configure(settings, state_dir=str(state))
    assert ids(checks.state_dir()) == ["console.E009"]
    state.mkdir(mode=0o711)
    assert checks.state_dir() == []
    state.chmod(0o777)
    (state / "secret_key").write_text("x")
    (state / "secret_key").chmod(0o644)
    assert ids(checks.state_dir()) == ["console.E011", "console.E012"]


def test_postgresql_sixteen_is_the_oldest_that_will_do(db: None) -> None:
    assert checks.database(databases=["default"]) == []
    assert checks.too_old(160_001) == []
    assert ids(checks.too_old(150_008)) == ["console.E003"]


def test_a_silent_redis_is_only_a_warning(settings: Any) -> None:
    assert checks.redis_answers(databases=["default"]) == []
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    assert ids(checks.redis_answers(databases=["default"])) == ["console.W013"]


def test_services_are_asked_only_when_databases_are_checked() -> None:
    assert checks.database() + checks.redis_answers() == []


def test_a_bad_set_up_is_explained_in_one_sentence_a_problem(project_dir: Path) -> None:
    broken = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1",
        "PUBLIC_URL": "http://console.example.org/x",
        "STATE_DIR": "/nonexistent",
    }
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(
        command, cwd=project_dir, env={**os.environ, **broken}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for name in ("E002", "E004", "W005", "E009", "W013"):
        assert done.stderr.count(f"console.{name}") == 1
