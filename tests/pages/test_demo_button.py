"""The demo run on Setup: who may start it, one at a time, with tokens that can do no more than needed."""

import dataclasses
import json
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aivillage_console import demonstration, env
from aivillage_console.accounts.models import ApiToken, Scope
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock


@pytest.fixture
def config(tmp_path: Path, settings: Any) -> Iterator[env.Config]:
    """Offer the demo, beside a console that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = dataclasses.replace(
        settings.CONFIG, demo_enabled=True, state_dir=str(tmp_path / "with a space"), web_port=port
    )
    settings.CONFIG = found
    yield found
    deadline = time.monotonic() + 30
    while demonstration.last_run(found).running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not demonstration.last_run(found).running


def test_setup_offers_the_demo_to_an_admin(person: Any, config: env.Config) -> None:
    assert "Start demo run" in person("admin").get("/setup/").content.decode()


def test_others_are_told_whom_it_needs(person: Any, config: env.Config) -> None:
    body = person("editor").get("/setup/?fragment=demo").content.decode()
    assert "Start demo run" not in body
    assert "needs role admin" in body


def test_nobody_below_an_admin_starts_it(person: Any, config: env.Config) -> None:
    assert person("editor").post("/setup/demo/").status_code == 403
    assert not ApiToken.objects.filter(name__startswith="demo ").exists()


def test_where_it_is_not_offered_it_cannot_be_started(person: Any, config: env.Config, settings: Any) -> None:
    settings.CONFIG = dataclasses.replace(config, demo_enabled=False)
    admin = person("admin")
    assert admin.post("/setup/demo/").status_code == 404
    assert "Demo run" not in admin.get("/setup/").content.decode()


def test_the_button_starts_a_run_that_says_how_it_fares(person: Any, config: env.Config) -> None:
    admin = person("admin")
    assert admin.post("/setup/demo/").status_code == 302
    deadline = time.monotonic() + 60
    while demonstration.last_run(config).state in ("", "running") and time.monotonic() < deadline:
        time.sleep(0.1)
    run = demonstration.last_run(config)
    assert run.state == "failed"
    assert any("does not answer" in line["text"] for line in run.lines)
    assert "not everything came out as it should" in admin.get("/setup/?fragment=demo").content.decode()


def test_tokens_are_private_short_lived_and_can_no_more_than_needed(db: None, config: env.Config) -> None:
    now = clock.now()
    demonstration.issue(config, actor=Actor.system("test"), now=now)
    demonstration.issue(config, actor=Actor.system("test"), now=now)
    tokens = {token.name: token for token in ApiToken.objects.filter(source__name="demo", revoked_at=None)}
    assert set(tokens) == {"demo sender", "demo conductor"}
    assert set(tokens["demo sender"].scopes) == {
        Scope.INGEST_METRICS, Scope.INGEST_SECURITY, Scope.INGEST_PIPELINES, Scope.BLOCKS,
    }  # fmt: skip
    for name, token in tokens.items():
        assert token.expires_at is not None
        assert (token.expires_at - now).total_seconds() == demonstration.TOKEN_SECONDS
        file = demonstration.folder(config) / f"{name.removeprefix('demo ')}_token"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text().startswith(token.prefix)


def test_a_second_run_is_refused_while_one_is_at_work(person: Any, config: env.Config) -> None:
    admin = person("admin")
    with demonstration.hold(config):
        assert demonstration.running(config)
        body = admin.post("/setup/demo/", follow=True).content.decode()
    assert "A demo run is at work already" in body
    assert not ApiToken.objects.filter(name__startswith="demo ").exists()
    assert not demonstration.running(config)


def test_the_lock_lives_as_long_as_the_program_that_inherited_it(config: env.Config) -> None:
    lock = demonstration.hold(config)
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(lock.fileno(),)
    ) as child:
        lock.close()
        assert demonstration.running(config)
        with pytest.raises(demonstration.AlreadyRuns):
            demonstration.hold(config)
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
    assert not demonstration.running(config)


def test_a_run_that_vanished_counts_as_broken_off(config: env.Config) -> None:
    document = {"state": "running", "lines": [{"at": "0:01", "text": "A pipeline begins.", "page": "/forge/"}]}
    (demonstration.folder(config) / "progress.json").write_text(json.dumps(document))
    assert demonstration.last_run(config).state == "broken off"


@pytest.mark.parametrize("content", ["", "[1]", '{"lines": [1, 2]}', "\x00"])
def test_a_progress_file_nobody_can_read_breaks_no_page(content: str, person: Any, config: env.Config) -> None:
    (demonstration.folder(config) / "progress.json").write_text(content)
    assert person("viewer").get("/setup/").status_code == 200


def test_the_demo_gets_no_key_and_no_address_of_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SECRET_KEY_FILE"):
        monkeypatch.setenv(name, "x" * 40)
    assert not {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SECRET_KEY_FILE"} & set(demonstration.environment())


def test_each_web_port_has_receivers_of_its_own() -> None:
    ports = [port for web_port in (8000, 8010, 8600) for port in env.Config(web_port=web_port).demo_ports]
    assert len(set(ports)) == 9
    assert env.Config().demo_ports == (14_000, 14_001, 14_002)
    assert all(
        10_000 <= port < 32_768
        for port in (*env.Config(web_port=1).demo_ports, *env.Config(web_port=65_535).demo_ports)
    )
