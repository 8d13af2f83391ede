"""One target: asked at its times, its page read, what became of it reported as Prometheus reports it."""

import asyncio
import http
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import httpcore
import numpy as np
import structlog
from django.db import DatabaseError, InterfaceError

from aivillage_console.lib.http import Refused, Unreachable
from aivillage_console.lib.pulling import TooMuch
from metrics.models import TargetHealth
from metrics.promql.types import STALE_NAN
from metrics.scrape.entrance import headers_of, puller_for
from metrics.scrape.reading import Outcome, ScrapeFailed, TargetReader
from metrics.scrape.sink import Sink
from metrics.store.columns import Samples
from metrics.wire.errors import WireError
from metrics.wire.exposition.forms import Form, form_of
from metrics.wire.scraping.fields import BadConfig
from metrics.wire.scraping.scrape_config import ScrapeConfig
from metrics.wire.scraping.targets import Target, report_labels

REPORTS = ("up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling",
           "scrape_series_added", "scrape_body_size_bytes")  # fmt: skip
MORE_REPORTS = ("scrape_timeout_seconds", "scrape_sample_limit")
# A scrape this little late carries the time it was due at, so that times follow each other evenly.
TOLERANCE_MS = 20
FORMS = {"PrometheusProto": Form.PROTOBUF, "OpenMetricsText1.0.0": Form.OPENMETRICS,
         "OpenMetricsText0.0.1": Form.OPENMETRICS, "PrometheusText1.0.0": Form.TEXT,
         "PrometheusText0.0.4": Form.TEXT}  # fmt: skip
USER_AGENT = "aivillage-console"
EXPECTED = (
    Refused, Unreachable, TooMuch, WireError, ScrapeFailed, BadConfig, TimeoutError, OSError, httpcore.TimeoutException,
    httpcore.NetworkError, httpcore.ProtocolError, DatabaseError, InterfaceError,
)  # fmt: skip
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class State:
    """How the last scrape of a target went."""

    health: str = TargetHealth.UNKNOWN
    error: str = ""
    at: datetime | None = None
    duration_seconds: float = 0.0
    samples: int = 0
    changed: bool = True


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class RunningTarget:
    """A target that is scraped."""

    def __init__(
        self,
        target: Target,
        config: ScrapeConfig,
        *,
        sink: Sink,
        source_id: UUID,
        context: ssl.SSLContext | None,
        now_ms: Callable[[], int] = _now_ms,
    ) -> None:
        """Take everything a scrape needs; nothing is asked yet."""
        self.target, self.state, self.refusal = target, State(), ""
        self._config, self._sink, self._source_id, self._now_ms = config, sink, source_id, now_ms
        self._reader = TargetReader(target, config)
        self._puller = puller_for(target.url, config.access, context)
        self._report_ids = np.empty(0, np.int64)
        self._ended = False

    def due_after(self, now_ms: int) -> int:
        """Return when this target is due next: its own place on the grid of its interval."""
        interval = self.target.interval_ms
        offset = self.target.spread % interval
        return now_ms - (now_ms - offset) % interval + interval

    async def run(self) -> None:
        """Scrape until cancelled."""
        while True:
            due_ms = self.due_after(self._now_ms())
            await asyncio.sleep((due_ms - self._now_ms()) / 1000)
            await self.scrape(due_ms)

    async def scrape(self, due_ms: int) -> None:
        """Scrape once and hand on what came of it."""
        at_ms = self._now_ms()
        at_ms = due_ms if 0 <= at_ms - due_ms <= TOLERANCE_MS else at_ms
        began, size, outcome, error = time.perf_counter(), 0, None, self.refusal
        try:
            if not error:
                data, form = await self._fetch()
                size = len(data)
                outcome = await self._read(data, form, at_ms)
        except EXPECTED as failure:
            error = _words(failure, self.target)
        took = time.perf_counter() - began
        if outcome is None:
            self._sink.add(self._reader.ended(at_ms))
        else:
            self._hand_on(outcome)
        await self._report(outcome, at_ms, took, size)
        self.state = State(
            TargetHealth.UP if outcome is not None else TargetHealth.DOWN,
            (error or (outcome.warning if outcome else ""))[:500],
            datetime.fromtimestamp(at_ms / 1000, UTC), took, outcome.scraped if outcome else 0,
        )  # fmt: skip

    async def _fetch(self) -> tuple[bytes, Form]:
        config = self._config
        headers = {
            "accept": config.accept,
            "user-agent": USER_AGENT,
            "x-prometheus-scrape-timeout-seconds": f"{self.target.timeout_ms / 1000:g}",
            **headers_of(config.access),
        }
        async with asyncio.timeout(self.target.timeout_ms / 1000):
            answer = await self._puller.get(
                headers, body_bytes=config.body_size_limit, follow=config.access.follow_redirects,
                compressed=config.compression,
            )  # fmt: skip
        if answer.status != http.HTTPStatus.OK:
            raise ScrapeFailed(f"server returned HTTP status {answer.status}{_phrase(answer.status)}")
        form = form_of(answer.headers.get("content-type", ""))
        return answer.body, form or FORMS.get(config.fallback, Form.TEXT)

    async def _read(self, data: bytes, form: Form, at_ms: int) -> Outcome:
        return await self._reader.read(
            data, form, at_ms,
            register=lambda labels: self._sink.ids_for(labels, self._source_id),
            apart=self._sink.call,
        )  # fmt: skip

    def _hand_on(self, outcome: Outcome) -> None:
        self._sink.add(outcome.samples)
        at_ms = int(outcome.samples.timestamps_ms[0]) if outcome.samples.values.size else 0
        for exemplar, series_id in outcome.exemplars:
            self._sink.add_exemplar(exemplar, series_id, at_ms)
        self._sink.tell(outcome.metadata)

    async def _report(self, outcome: Outcome | None, at_ms: int, took_seconds: float, size: int) -> None:
        values = [0.0, took_seconds, 0.0, 0.0, 0.0, float(size)]
        if outcome is not None:
            values = [1.0, took_seconds, outcome.scraped, outcome.kept, outcome.added, float(size)]
        if self._config.extra_metrics:
            values += [self.target.timeout_ms / 1000, float(self._config.sample_limit)]
        if not self._report_ids.size:
            names = REPORTS + (MORE_REPORTS if self._config.extra_metrics else ())
            labels = [report_labels(name, self.target.labels) for name in names]
            try:
                self._report_ids, _ = await self._sink.ids_for(labels, self._source_id)
            except (DatabaseError, InterfaceError) as error:
                log.warning("scrape.not_reported", target=self.target.url, error=str(error)[:200])
                return
        self._add_reports(values, at_ms)
        if bool((self._report_ids < 0).any()):
            self._report_ids = self._report_ids[:0]

    def _add_reports(self, values: list[float], at_ms: int) -> None:
        rows = Samples(self._report_ids, np.full(len(values), at_ms, np.int64), np.array(values, np.float64))
        self._sink.add(rows.take(rows.series_ids >= 0))

    async def end(self, *, stale: bool) -> None:
        """Close the connection; where the target is gone for good, say that its series have ended."""
        await self._puller.close()
        if stale and not self._ended and self.state.at is not None:
            self._ended = True
            at_ms = max(self._now_ms(), int(self.state.at.timestamp() * 1000) + 1)
            self._sink.add(self._reader.ended(at_ms))
            self._add_reports([STALE_NAN] * self._report_ids.size, at_ms)


def _phrase(status: int) -> str:
    try:
        return f" {http.HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _words(failure: BaseException, target: Target) -> str:
    if isinstance(failure, TimeoutError) and not str(failure):
        return f"no answer within {target.timeout_ms / 1000:g} s"
    if isinstance(failure, DatabaseError | InterfaceError):
        return f"the database is away: {failure.__class__.__name__}"
    return str(failure) or type(failure).__name__
