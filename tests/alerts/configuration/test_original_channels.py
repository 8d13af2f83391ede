"""What the original's file says of channels holds: a log file, and limits of a webhook."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from alerts.channels import CHANNELS, ChannelError, Letter
from alerts.engine.retry import Own, own_of, plan_retry

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def letter(**config: Any) -> Letter:
    return Letter(key="k", at=NOW, payload={"alert_name": "hot", "severity": "high"}, config=config, secret="")


def test_a_log_channel_writes_one_line_a_message(settings: Any, tmp_path: Path) -> None:
    settings.CONFIG = dataclasses.replace(settings.CONFIG, state_dir=str(tmp_path))
    for _ in range(2):
        CHANNELS["log"].send(letter(path="monitoring/alerts.log"))
    lines = (tmp_path / "alert-logs/monitoring/alerts.log").read_bytes().splitlines()
    assert [orjson.loads(line)["alert_name"] for line in lines] == ["hot", "hot"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "a/", "a\\b", "a\nb", 3])
def test_a_log_channel_stays_in_its_directory(settings: Any, tmp_path: Path, path: object) -> None:
    settings.CONFIG = dataclasses.replace(settings.CONFIG, state_dir=str(tmp_path))
    assert "path" in CHANNELS["log"].problems({"path": path})
    with pytest.raises(ChannelError, match="is no name below"):
        CHANNELS["log"].send(letter(path=path))


def test_a_link_leads_a_log_nowhere(settings: Any, tmp_path: Path) -> None:
    settings.CONFIG = dataclasses.replace(settings.CONFIG, state_dir=str(tmp_path))
    (tmp_path / "alert-logs").mkdir()
    (tmp_path / "alert-logs/a.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ChannelError, match="cannot be written"):
        CHANNELS["log"].send(letter(path="a.log"))


def test_a_webhook_with_limits_of_its_own_is_tried_by_them() -> None:
    config = {"url": "https://hooks.example.org/x", "timeout": 10, "retry_attempts": 3, "retry_delay": 5}
    assert CHANNELS["webhook"].problems(config) == {}
    assert set(CHANNELS["webhook"].problems({**config, "timeout": 0, "retry_attempts": 1.5, "retry_delay": "x"})) == {
        "timeout", "retry_attempts", "retry_delay"
    }  # fmt: skip
    own, soon = own_of(config), {"now": 0.0, "deadline_at": 10_000.0, "jitter": 1.0}
    assert [plan_retry(attempts=tries, own=own, **soon).retry_at for tries in (1, 2, 3, 4)] == [5, 10, 20, None]
    assert plan_retry(attempts=1, own=own, retry_after_seconds=60, **soon).retry_at == 60
    assert own_of({"url": "x"}) == Own()
