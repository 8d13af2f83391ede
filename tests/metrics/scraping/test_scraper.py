"""The scraper as a whole: pools, discovery, states, changes while it runs."""

import asyncio
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from metrics import selectors
from metrics.models import ScrapePool, ScrapeTarget
from metrics.scrape.pools import Invalid, pool_delete, pool_save
from metrics.scrape.scraper import Scraper
from metrics.store.postgres import STORE
from tests.metrics.scraping.pages import Page, served

pytestmark = pytest.mark.django_db(transaction=True)
SYSTEM = Actor.system("test")
PATIENCE_SECONDS = 40.0


def saved(name: str, **config: Any) -> ScrapePool:
    given = {"scrape_interval": "1s", "scrape_timeout": "1s", **config}
    return pool_save(ScrapePool(name=name, config=given), actor=SYSTEM, now=clock.now())


def to(page: Page) -> dict[str, Any]:
    return {"static_configs": [{"targets": [f"127.0.0.1:{page.port}"]}]}


def running(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scraper beside what a test does."""

    async def both() -> None:
        done = asyncio.Event()
        scraping = asyncio.create_task(Scraper().run(done))
        try:
            await scenario()
        finally:
            done.set()
            await scraping
            await sync_to_async(connections.close_all)()

    asyncio.run(both())


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; it asks the database."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not await sync_to_async(holds)():
        assert time.monotonic() < ends_at, "it never came to be"
        await asyncio.sleep(0.1)


def ask(query: str) -> list[float]:
    STORE.forget()
    result = selectors.instant_query(query, at_ms=int(time.time() * 1000) + 1000)
    return [float(value) for value, there in zip(result.values[:, 0], result.present[:, 0], strict=True) if there]


@pytest.fixture
def page() -> Iterator[Page]:
    with served() as page:
        yield page


def test_a_pool_is_scraped_changed_and_ended_while_the_scraper_runs(page: Page) -> None:
    page.body = b"served 5\n"
    pool = saved("a", **to(page))

    async def scenario() -> None:
        await until(lambda: ask('served{job="a"}') == [5.0])
        await until(lambda: ScrapeTarget.objects.filter(health="up", samples=1).exists())
        assert await sync_to_async(ask)("up") == [1.0]
        pool.config = {**pool.config, "metrics_path": "/other"}
        await sync_to_async(lambda: pool_save(pool, actor=SYSTEM, now=clock.now()))()
        await until(lambda: page.asked[-1][0] == "/other")
        await sync_to_async(lambda: pool_delete(pool, actor=SYSTEM, now=clock.now()))()
        await until(lambda: ask('served{job="a"}') == [] and ask("up") == [])

    running(scenario)


def test_targets_are_told_to_other_processes(page: Page) -> None:
    saved("a", relabel_configs=[{"source_labels": ["zone"], "regex": "far", "action": "drop"}],
          static_configs=[{"targets": [f"127.0.0.1:{page.port}"], "labels": {"zone": "near"}},
                          {"targets": ["127.0.0.1:1"], "labels": {"zone": "far"}},
                          {"targets": ["localhost:1"]}])  # fmt: skip

    async def scenario() -> None:
        await until(lambda: sorted(row.health for row in selectors.targets_state().active) == ["down", "up"])

    running(scenario)
    state = selectors.targets_state()
    up = next(row for row in state.active if row.health == "up")
    assert up.labels == {"instance": f"127.0.0.1:{page.port}", "job": "a", "zone": "near"}
    assert up.discovered_labels["__address__"] == f"127.0.0.1:{page.port}"
    assert (up.scrape_pool, up.scrape_interval, up.url) == ("a", "1s", f"http://127.0.0.1:{page.port}/metrics")
    down = next(row for row in state.active if row.health == "down")
    assert down.last_error
    assert state.dropped_counts == {"a": 1}
    assert state.dropped[0].discovered_labels["zone"] == "far"


def test_targets_come_from_files_that_change(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CONFIG", _with(scrape_files_dir=str(tmp_path)))
    (tmp_path / "one.json").write_text("[]")
    saved("a", file_sd_configs=[{"files": ["*.json"], "refresh_interval": "1s"}])

    async def scenario() -> None:
        await asyncio.sleep(1.5)
        (tmp_path / "two.json").write_text(json.dumps([{"targets": [f"127.0.0.1:{page.port}"], "labels": {"z": "1"}}]))
        await until(lambda: ask('up{z="1"}') == [1.0])

    running(scenario)
    assert selectors.targets_state().active[0].discovered_labels["__meta_filepath"] == str(tmp_path / "two.json")


def test_targets_come_from_an_address_that_lists_them(page: Page) -> None:
    with served() as listing:
        listing.content_type = "application/json"
        listing.body = json.dumps([{"targets": [f"127.0.0.1:{page.port}"]}]).encode()
        pool = saved("a", http_sd_configs=[{"url": f"http://127.0.0.1:{listing.port}/list"}])

        async def scenario() -> None:
            await until(lambda: ask("up") == [1.0])
            listing.status = 500
            await until(lambda: True)

        running(scenario)
    assert pool.name == "a"
    assert listing.asked[0][0] == "/list"


def test_targets_come_from_dns(page: Page) -> None:
    saved("a", dns_sd_configs=[{"names": ["localhost"], "type": "A", "port": page.port}])

    async def scenario() -> None:
        await until(lambda: ask("up") == [1.0])

    running(scenario)
    assert selectors.targets_state().active[0].discovered_labels["__meta_dns_name"] == "localhost"


def test_a_file_outside_the_directory_is_not_read(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CONFIG", _with(scrape_files_dir=str(tmp_path / "in")))
    (tmp_path / "out.json").write_text(json.dumps([{"targets": [f"127.0.0.1:{page.port}"]}]))
    saved("a", file_sd_configs=[{"files": ["../out.json"]}])

    async def scenario() -> None:
        await until(lambda: "does not lie below" in ScrapePool.objects.get().discovery_error)

    running(scenario)
    assert page.asked == []


def test_more_targets_than_the_limit_are_not_asked(page: Page) -> None:
    saved("a", target_limit=1, static_configs=[{"targets": [f"127.0.0.1:{page.port}", f"localhost:{page.port}"]}])

    async def scenario() -> None:
        await until(lambda: ask("up") == [0.0, 0.0])
        await until(lambda: "target_limit" in ScrapePool.objects.get().discovery_error)

    running(scenario)
    assert page.asked == []


def _with(**changes: Any) -> Any:
    import dataclasses

    return dataclasses.replace(settings.CONFIG, **changes)


def test_a_configuration_file_becomes_pools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text("rule_files: [x.yml]\nscrape_configs:\n- {job_name: a, basic_auth: {username: u, password: p}}\n")
    call_command("scrape_config", "import", str(file))
    assert "1 created: a" in capsys.readouterr().out
    pool = ScrapePool.objects.get()
    assert pool.config["basic_auth"] == {"username": "u", "password": "<secret>"}
    assert pool.unseal() == {"basic_auth.password": "p"}
    call_command("scrape_config", "import", str(file))
    assert "1 unchanged: a" in capsys.readouterr().out
    call_command("scrape_config", "show")
    assert "p1" not in capsys.readouterr().out
    file.write_text("scrape_configs: [{job_name: b}, {job_name: c, consul_sd_configs: [{}]}]")
    with pytest.raises(CommandError, match="consul_sd_configs"):
        call_command("scrape_config", "import", str(file))
    assert ScrapePool.objects.count() == 1


def test_a_pool_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(Invalid, match="relabelling action"):
        saved("a", relabel_configs=[{"action": "paint"}])
    assert ScrapePool.objects.count() == 0


@pytest.mark.skipif(not shutil.which("prometheus-node-exporter"), reason="no prometheus-node-exporter here")
def test_a_real_node_exporter_is_scraped_and_asked() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    exporter = subprocess.Popen(
        ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL
    )
    try:
        saved("node", static_configs=[{"targets": [f"127.0.0.1:{port}"]}])

        async def scenario() -> None:
            await until(lambda: ask('up{job="node"}') == [1.0])
            await until(lambda: len(ask('rate(node_cpu_seconds_total{mode="idle"}[1m])')) > 0)

        running(scenario)
        assert ask("scrape_samples_scraped")[0] > 300
        assert ask("count(node_memory_MemTotal_bytes)") == [1.0]
        assert selectors.metadata(metric="node_cpu_seconds_total")["node_cpu_seconds_total"][0]["type"] == "counter"
    finally:
        exporter.terminate()
        exporter.wait()
