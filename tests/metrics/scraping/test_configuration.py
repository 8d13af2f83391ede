"""Prometheus' configuration file, its scrape sections."""

import fnmatch
import json
import os
from pathlib import Path
from typing import Any

import pytest

from metrics.wire.scraping.configuration import HIDDEN, read_document, secrets_joined, secrets_parted
from metrics.wire.scraping.fields import BadConfig
from metrics.wire.scraping.scrape_config import UNSUPPORTED_DISCOVERY, one_config
from tests.conftest import PROJECT_DIR

CASES = (
    Path(os.environ.get("CORPORA_DIR") or PROJECT_DIR.parent / "shared" / "data") / "prom-config-testdata/cases.jsonl"
)
# Sections the console has other doors for; the rest of what such a file says is read.
ELSEWHERE = ("remote_", "otlp_", "tracing_", "tsdb_", "agent_mode", "rules.", "rules_", "external_", "empty_alert",
             "empty_r", "labelvalue", "first", "static_config", "config_with")  # fmt: skip
NOT_HERE = "this discovery is not supported"


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CASES.read_text().splitlines()]


@pytest.mark.skipif(not CASES.exists(), reason="CORPORA_DIR has no prom-config-testdata")
def test_prometheus_own_cases_are_judged_as_their_names_say() -> None:
    known = {case["file"]: case["text"] for case in cases()}
    wrong, judged = [], 0

    def include(pattern: str) -> list[tuple[str, str]]:
        return [(name, known[name]) for name in sorted(known) if fnmatch.fnmatch(name, pattern)]

    for case in cases():
        if case["valid"] is None or case["file"].startswith(ELSEWHERE):
            continue
        judged += 1
        try:
            read_document(case["text"], include)
        except BadConfig as error:
            found, unsupported = False, NOT_HERE in str(error) or "is not supported by this scraper" in str(error)
        else:
            found, unsupported = True, False
        if found != case["valid"] and not unsupported:
            wrong.append((case["file"], case["valid"]))
    assert wrong == []
    assert judged > 100


def test_an_entry_takes_over_what_global_says_and_sets_its_own_against_it() -> None:
    document = read_document(
        "global: {scrape_interval: 20s, sample_limit: 7, body_size_limit: 2MB}\n"
        "rule_files: [x.yml]\n"
        "scrape_configs:\n"
        "- {job_name: a, static_configs: [{targets: ['h:1', 'h:2'], labels: {team: x}}]}\n"
        "- {job_name: b, scrape_interval: 5s, sample_limit: 9, params: {module: [x, y]}, scheme: https}\n"
    )
    first, second = document.configs
    assert (first.interval_ms, first.timeout_ms, first.sample_limit) == (20_000, 10_000, 7)
    assert (second.interval_ms, second.timeout_ms, second.sample_limit) == (5_000, 5_000, 9)
    assert first.static[0].targets == ("h:1", "h:2")
    assert second.params == (("module", ("x", "y")),)
    assert document.ignored == ["rule_files"]
    assert [one_config(entry) for entry in document.entries] == document.configs


@pytest.mark.parametrize("name", sorted(UNSUPPORTED_DISCOVERY))
def test_a_discovery_that_is_not_supported_is_named(name: str) -> None:
    with pytest.raises(BadConfig, match=rf"scrape_configs\[0\]\.{name}: {NOT_HERE}"):
        read_document(f"scrape_configs: [{{job_name: a, {name}: [{{}}]}}]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x [1]\nb: *x", "aliases"),
        ("scrape_configs: {", "not YAML"),
        ("scrape_configs: [{job_name: a, job_name: b}]", "given twice"),
        ("- 1", "a section of names"),
        ("scrape_configs: [{job_name: a, scrape_interval: 100ms, scrape_timeout: 100ms}]", "at least 1s"),
        ("scrape_configs: [{job_name: a, basic_auth: {username: x}, bearer_token_file: y}]", "exclude each other"),
        ("scrape_configs: [{job_name: a, tls_config: {cert: x}}]", "needs its key"),
        ("scrape_configs: [{job_name: a, proxy_url: 'http://x'}]", "is not supported by this scraper"),
        ('scrape_configs: [{job_name: a, http_headers: {X: {values: ["a\\nb"]}}}]', "one line"),
        ("scrape_configs: [{job_name: a, http_headers: {Host: {values: [b]}}}]", "is set by the scraper"),
        ("scrape_configs: [{job_name: a, dns_sd_configs: [{names: [x], type: A}]}]", "need a port"),
        ("scrape_configs: [{job_name: a, file_sd_configs: [{files: ['x*/y.yml']}]}]", "must end in"),
        ("scrape_configs: [{job_name: a, sample_limit: -1}]", "at least 0"),
        ("scrape_config_files: [x.yml]", "cannot be read from here"),
        ('scrape_configs: [{job_name: "a\\0"}]', "cannot be kept"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(BadConfig) as error:
        read_document(text)
    assert reason in str(error.value)


def test_secrets_are_parted_from_an_entry_and_joined_again() -> None:
    entry = {
        "job_name": "a", "basic_auth": {"username": "u", "password": "p1"},
        "http_headers": {"X-Key": {"secrets": ["p2"]}}, "tls_config": {"key": "p3", "cert": "c"},
        "http_sd_configs": [{"url": "http://h", "authorization": {"credentials": "p4"}}],
    }  # fmt: skip
    parted, secrets = secrets_parted(entry)
    assert sorted(secrets.values()) == ["p1", "p2", "p3", "p4"]
    assert not any(f"p{number}" in json.dumps(parted) for number in range(1, 5))
    assert secrets_joined(parted, secrets) == entry
    again, kept = secrets_parted(parted, secrets)
    assert (again, kept) == (parted, secrets)
    assert parted["basic_auth"]["password"] == HIDDEN
    with pytest.raises(BadConfig, match="never given"):
        secrets_parted(parted)
