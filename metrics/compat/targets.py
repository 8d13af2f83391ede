"""What is scraped, as Prometheus lists it."""

from collections.abc import Sequence
from typing import Any

from metrics import selectors
from metrics.compat.answers import Asked, data_answer, endpoint
from metrics.compat.catalogue import UNTOLD
from metrics.compat.parameters import number_of, selector_of
from metrics.promql.types import Matcher
from metrics.store.catalogue import accepts

NEVER = "0001-01-01T00:00:00Z"


@endpoint("GET")
def targets(asked: Asked) -> bytes:
    """GET /api/v1/targets."""
    state, pool = asked.request.GET.get("state", "").lower(), asked.request.GET.get("scrapePool", "")
    listed = selectors.targets_state(asked.viewer)
    active = [row for row in listed.active if not pool or row.scrape_pool == pool]
    dropped = [row for row in listed.dropped if not pool or row.scrape_pool == pool]
    data: dict[str, Any] = {"activeTargets": [], "droppedTargets": []}
    if state in ("", "any", "active"):
        data["activeTargets"] = [_active(row) for row in active]
    if state in ("", "any", "dropped"):
        data["droppedTargets"] = [
            {"discoveredLabels": row.discovered_labels, "scrapePool": row.scrape_pool} for row in dropped
        ]
        data["droppedTargetCounts"] = listed.dropped_counts
    return data_answer(data)


def _active(row: selectors.TargetShown) -> dict[str, Any]:
    return {
        "discoveredLabels": row.discovered_labels,
        "labels": row.labels,
        "scrapePool": row.scrape_pool,
        "scrapeUrl": row.url,
        "globalUrl": row.url,
        "lastError": row.last_error,
        "lastScrape": row.last_scrape_at.isoformat().replace("+00:00", "Z") if row.last_scrape_at else NEVER,
        "lastScrapeDuration": row.last_scrape_seconds,
        "health": row.health,
        "scrapeInterval": row.scrape_interval,
        "scrapeTimeout": row.scrape_timeout,
    }


@endpoint("GET")
def scrape_pools(asked: Asked) -> bytes:
    """GET /api/v1/scrape_pools."""
    listed = selectors.targets_state(asked.viewer)
    return data_answer({"scrapePools": sorted({row.scrape_pool for row in (*listed.active, *listed.dropped)})})


@endpoint("GET")
def targets_metadata(asked: Asked) -> bytes:
    """GET /api/v1/targets/metadata: the console keeps metadata by family, so each target shows what is known."""
    values = asked.values
    limit, metric, target = number_of(values, "limit"), values.get("metric", ""), values.get("match_target", "")
    wanted = selector_of(target, "match_target") if target else [[]]
    found: list[dict[str, Any]] = []
    families = selectors.metadata(metric=metric, viewer=asked.viewer)
    for row in selectors.targets_state(asked.viewer).active:
        if not any(_matches(row.labels, matchers) for matchers in wanted):
            continue
        for family, entries in families.items():
            named = {} if metric else {"metric": family}
            for entry in entries:
                if 0 <= limit <= len(found):
                    return data_answer(found)
                told = {**entry, "type": UNTOLD.get(entry["type"], entry["type"])}
                found.append({"target": row.labels, **named, **told})
    return data_answer(found)


def _matches(labels: dict[str, str], matchers: Sequence[Matcher]) -> bool:
    return all(accepts(matcher, [labels.get(matcher.name, "")])[0] for matcher in matchers)
