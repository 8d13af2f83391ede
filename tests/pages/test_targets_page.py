"""The targets page: pools, how their targets fare, and what stands there when there is nothing."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics.models import ScrapePool, ScrapeTarget

URL = "/explore/metrics/targets/"
# Session, person, pools, targets, the scraper's lock, the clock, alerts that fire (in the rail).
QUERIES = 8


@pytest.fixture
def pool(db: None) -> ScrapePool:
    pool = ScrapePool.objects.create(name="node", discovery_error="http_sd_configs: no answer")
    now = datetime.now(UTC)
    ScrapeTarget.objects.create(
        pool=pool, key="a", scrape_url="http://10.0.0.7:9100/metrics", labels={"instance": "seven"}, health="up",
        last_scrape_at=now, samples=812,
    )  # fmt: skip
    ScrapeTarget.objects.create(
        pool=pool, key="b", scrape_url="http://10.0.0.8:9100/metrics", labels={"instance": "eight"}, health="down",
        last_error="no answer within <10> s", last_scrape_at=now,
    )  # fmt: skip
    ScrapeTarget.objects.create(
        pool=pool, key="c", discovered_labels={"__address__": "10.0.0.9:9100"}, health="dropped"
    )
    return pool


def test_pools_and_targets_are_listed_the_worst_first(person: Any, pool: ScrapePool) -> None:
    body = person("viewer").get(URL).content.decode()
    assert body.index("10.0.0.8") < body.index("10.0.0.7")
    assert "no answer within &lt;10&gt; s" in body
    assert "http_sd_configs: no answer" in body
    assert "No scraper is running" in body
    assert "10.0.0.9" not in body


@pytest.mark.parametrize(
    ("asked", "there"),
    [("q=seven", {"10.0.0.7"}), ("q=within", {"10.0.0.8"}), ("health=down", {"10.0.0.8"}),
     ("health=dropped", {"10.0.0.9"}), ("pool=node", {"10.0.0.7", "10.0.0.8"}), ("pool=other", set()),
     ("q=%00", {"10.0.0.7", "10.0.0.8"}), ("fragment=targets&q=seven", {"10.0.0.7"})],
)  # fmt: skip
def test_the_list_is_searched_and_filtered(person: Any, pool: ScrapePool, asked: str, there: set[str]) -> None:
    body = person("viewer").get(f"{URL}?{asked}").content.decode()
    assert {address for address in ("10.0.0.7", "10.0.0.8", "10.0.0.9") if address in body} == there
    assert ("No target matches" in body) is (not there)


def test_without_a_pool_the_page_says_what_one_is(person: Any) -> None:
    assert "An admin can add one" in person("viewer").get(URL).content.decode()
    assert "Add a pool" in person("admin").get(URL).content.decode()


def test_more_targets_cost_no_more_queries(person: Any, pool: ScrapePool) -> None:
    viewer = person("viewer")
    viewer.get(URL)
    for number in range(20):
        ScrapeTarget.objects.create(pool=pool, key=f"n{number}", scrape_url=f"http://h{number}/metrics")
    with CaptureQueriesContext(connection) as asked:
        viewer.get(URL)
    assert len(asked) <= QUERIES


def test_the_api_saves_a_pool_hides_its_secret_and_lists_targets(person: Any) -> None:
    admin = person("admin")
    config = {"static_configs": [{"targets": ["h:1"]}], "basic_auth": {"username": "u", "password": "geheim"}}
    base = "/api/console/v1/scrape-pools/"
    made = admin.post(base, {"name": "a", "config": config}, content_type="application/json")
    assert made.status_code == 201, made.content
    assert "geheim" not in made.content.decode()
    pool = ScrapePool.objects.get()
    changed = {"config": {**made.json()["config"], "scrape_interval": "30s"}, "expected_version": 1}
    assert admin.patch(f"{base}{pool.pk}/", changed, content_type="application/json").status_code == 200
    pool.refresh_from_db()
    assert (pool.unseal(), pool.version) == ({"basic_auth.password": "geheim"}, 2)
    assert admin.patch(f"{base}{pool.pk}/", changed, content_type="application/json").status_code == 409
    bad = admin.post(base, {"name": "b", "config": {"consul_sd_configs": [{}]}}, content_type="application/json")
    assert bad.status_code == 400
    assert "consul_sd_configs" in bad.content.decode()
    text = {"text": "scrape_configs: [{job_name: c}]"}
    assert admin.post(f"{base}import/", text, content_type="application/json").json()["created"] == ["c"]
    ScrapeTarget.objects.create(pool=pool, key="k", scrape_url="http://h:1/metrics", health="up")
    assert admin.get("/api/console/v1/scrape-targets/").json()["results"][0]["pool"] == "a"
    assert admin.delete(f"{base}{pool.pk}/").status_code == 204


def test_an_editor_reads_pools_on_the_admin_site_and_changes_none(person: Any, pool: ScrapePool) -> None:
    editor = person("editor")
    assert editor.get(f"/admin/metrics/scrapepool/{pool.pk}/change/").status_code == 200
    assert editor.get("/admin/metrics/scrapepool/add/").status_code == 403
    admin = person("admin")
    given = {"name": "made", "config": '{"static_configs": [{"targets": ["h:1"]}]}', "enabled": "on"}
    assert admin.post("/admin/metrics/scrapepool/add/", given).status_code == 302
    assert ScrapePool.objects.get(name="made").source is not None
    refused = admin.post("/admin/metrics/scrapepool/add/", {**given, "name": "bad", "config": '{"proxy_url": "x"}'})
    assert "is not supported by this scraper" in refused.content.decode()
