"""What Prometheus tells about itself, as far as it holds for the console; no flags, and the admin API is off."""

import os
import socket
import threading

import psutil
from django.conf import settings
from django.http import HttpResponse

from aivillage_console.lib import clock
from metrics import selectors
from metrics.compat.answers import Asked, data_answer, endpoint, error_answer
from metrics.compat.parameters import NUMBER
from metrics.promql.types import QueryError

VERSION = "3.0.0"
MOST_STATISTICS = 10_000
USUAL_STATISTICS = 10


@endpoint("GET")
def buildinfo(_asked: Asked) -> bytes:
    """GET /api/v1/status/buildinfo; without `features`, so that clients take us for a plain Prometheus."""
    named = {"version": VERSION, "revision": "aivillage-console", "branch": "main"}
    return data_answer({**named, "buildUser": "", "buildDate": "", "goVersion": ""})


@endpoint("GET")
def runtimeinfo(_asked: Asked) -> bytes:
    """GET /api/v1/status/runtimeinfo; what only a Go program has is zero or empty."""
    started = clock.at_seconds(psutil.Process().create_time())
    return data_answer(
        {
            "startTime": started.isoformat().replace("+00:00", "Z"),
            "CWD": "",
            "hostname": socket.gethostname(),
            "serverTime": clock.now().isoformat().replace("+00:00", "Z"),
            "reloadConfigSuccess": True,
            "lastConfigTime": started.isoformat().replace("+00:00", "Z"),
            "corruptionCount": 0,
            "goroutineCount": threading.active_count(),
            "GOMAXPROCS": os.cpu_count() or 1,
            "GOMEMLIMIT": 0,
            "GOGC": "",
            "GODEBUG": "",
            "storageRetention": f"{settings.CONFIG.retention_days}d",
        }
    )


def external_labels() -> dict[str, str]:
    """Return the labels the console adds to what it hands to other stores."""
    pairs = [text.partition("=") for text in settings.CONFIG.external_labels]
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


@endpoint("GET")
def config(_asked: Asked) -> bytes:
    """GET /api/v1/status/config: a configuration in Prometheus' form; the console's own settings are not in it."""
    lines = ["global:", "  scrape_interval: 15s", "  scrape_timeout: 10s", "  evaluation_interval: 1m"]
    labels = external_labels()
    if labels:
        lines.append("  external_labels:")
        lines += [f"    {_yaml(name)}: {_yaml(value)}" for name, value in sorted(labels.items())]
    return data_answer({"yaml": "\n".join(lines) + "\n"})


def _yaml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@endpoint("GET")
def tsdb(asked: Asked) -> bytes:
    """GET /api/v1/status/tsdb: where the series are."""
    text = asked.values.get("limit", "") or str(USUAL_STATISTICS)
    if not NUMBER.fullmatch(text) or int(text) < 1:
        raise QueryError("limit must be a positive number", kind="bad_data")
    if int(text) > MOST_STATISTICS:
        raise QueryError(f"limit must not exceed {MOST_STATISTICS}", kind="bad_data")
    found = selectors.store_statistics(limit=int(text), viewer=asked.viewer)
    return data_answer(
        {
            "headStats": {
                "numSeries": found.series,
                "numLabelPairs": found.label_pairs,
                "chunkCount": found.blocks,
                "minTime": found.oldest_ms,
                "maxTime": found.newest_ms,
            },
            "seriesCountByMetricName": _counts(found.series_by_metric),
            "labelValueCountByLabelName": _counts(found.values_by_label),
            "memoryInBytesByLabelName": _counts(found.bytes_by_label),
            "seriesCountByLabelValuePair": _counts(found.series_by_pair),
        }
    )


def _counts(pairs: list[tuple[str, int]]) -> list[dict[str, str | int]]:
    return [{"name": name, "value": value} for name, value in pairs]


@endpoint("GET")
def walreplay(_asked: Asked) -> bytes:
    """GET /api/v1/status/walreplay: PostgreSQL has replayed its log before the console is ready."""
    return data_answer({"min": 0, "max": 0, "current": 0})


@endpoint("GET")
def notifications(_asked: Asked) -> bytes:
    """GET /api/v1/notifications: what Prometheus' own pages show as a banner; there is never any."""
    return data_answer([])


@endpoint("GET")
def features(_asked: Asked) -> bytes:
    """GET /api/v1/features: what a client may use, in Prometheus' words."""
    return data_answer(
        {
            "api": {
                "exclude_alerts": True, "label_values_match": True, "lifecycle": False, "admin": False,
                "query_stats": True, "time_range_labels": True, "time_range_series": True,
                "remote_write_receiver": True,
            },
            "promql": {"at_modifier": True, "negative_offset": True},
            "prometheus": {"agent_mode": False},
        }
    )  # fmt: skip


@endpoint("GET")
def alertmanagers(_asked: Asked) -> bytes:
    """GET /api/v1/alertmanagers: the console delivers by itself."""
    return data_answer({"activeAlertmanagers": [], "droppedAlertmanagers": []})


@endpoint("POST", "PUT")
def admin(_asked: Asked, verb: str) -> HttpResponse:
    """POST /api/v1/admin/tsdb/…: a Prometheus whose admin API was not switched on."""
    del verb
    return error_answer(500, "unavailable", "admin APIs disabled")
