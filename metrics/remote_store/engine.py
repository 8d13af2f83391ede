"""A store of samples over HTTP: remote write in, raw samples and labels out."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import orjson
from django.conf import settings
from django.db import OperationalError, connection, transaction

from aivillage_console.lib import http
from metrics.promql.types import Matcher, QueryError, SeriesColumns
from metrics.remote_store.export import columns_of, selector
from metrics.store.columns import Samples
from metrics.store.protocol import Period, TooManySamples
from metrics.store.series import series_labels_by_id
from metrics.wire.write_out import Named, Outgoing, headers_for, request_1

WRITE_SECONDS = 30.0
READ_SECONDS = 15.0
MOST_BYTES = 512 << 20
BATCH_SAMPLES = 10_000
MOST_KNOWN = 500_000
ALL_TIMES = Period(1_000, 4_102_444_800_000)


class StoreAway(OperationalError):
    """The engine does not take or give samples now; doors answer it as they answer a database that is away."""


class RemoteStore:
    """Keeps samples in another engine; which series there are, and their ids, stays in PostgreSQL."""

    def __init__(self, url: str) -> None:
        """Take the address before `/api/v1/…`."""
        self.url = url.rstrip("/")
        self._known: dict[int, Named] = {}

    def is_too_far(self, t_min_ms: int, t_max_ms: int) -> bool:  # noqa: ARG002 (the engine keeps one resolution)
        """Say no: there are no roll-ups to answer from."""
        return False

    def append(self, samples: Samples, *, durable: bool) -> None:  # noqa: ARG002 (the engine decides)
        """Send the numbers among the samples; raises StoreAway unless the engine has taken them all."""
        if samples.histograms is not None:
            samples = samples.take(np.equal(samples.histograms, None).astype(np.bool_))
        order = np.lexsort((samples.timestamps_ms, samples.series_ids))
        for cut in range(0, order.size, BATCH_SAMPLES):
            part = samples.take(order[cut : cut + BATCH_SAMPLES])
            self._call("POST", "/api/v1/write", body=self._request(part), headers=headers_for(1), seconds=WRITE_SECONDS)

    def _request(self, samples: Samples) -> bytes:
        ids, begins = np.unique(samples.series_ids, return_index=True)
        ends = [*begins[1:].tolist(), samples.series_ids.size]
        named = self._named(ids.tolist())
        return request_1(
            Outgoing(named[one], samples.timestamps_ms[begin:end], samples.values[begin:end])
            for one, begin, end in zip(ids.tolist(), begins.tolist(), ends, strict=True)
            if one in named
        )

    def _named(self, ids: Sequence[int]) -> dict[int, Named]:
        missing = [one for one in ids if one not in self._known]
        if not missing:
            return {one: self._known[one] for one in ids}
        fresh = {one: Named.of(labels) for one, labels in series_labels_by_id(missing).items()}
        found = {one: self._known[one] for one in ids if one in self._known} | fresh
        if connection.in_atomic_block:
            # Rolled back, an id may become that of another series.
            transaction.on_commit(lambda: self._remember(fresh))
        else:
            self._remember(fresh)
        return found

    def _remember(self, fresh: dict[int, Named]) -> None:
        if len(self._known) + len(fresh) > MOST_KNOWN:
            self._known = {}
        self._known.update(fresh)

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        """Return the matching series with samples in the range, both ends included."""
        if t_min_ms > t_max_ms:
            return columns_of(b"", t_min_ms, t_max_ms)
        asked = {"match[]": selector(matchers), "start": f"{t_min_ms / 1000:.3f}", "end": f"{t_max_ms / 1000:.3f}"}
        return columns_of(self._ask("/api/v1/export", asked), t_min_ms, t_max_ms)

    def series(self, matchers: Sequence[Matcher], period: Period | None = None) -> list[dict[str, str]]:
        """Return the label sets that match and may have samples in the period."""
        return list(self._listed("/api/v1/series", matchers, period))

    def label_names(self, matchers: Sequence[Matcher], period: Period | None = None) -> list[str]:
        """Return the names of labels of matching series that may have samples in the period."""
        return list(self._listed("/api/v1/labels", matchers, period))

    def label_values(self, name: str, matchers: Sequence[Matcher], period: Period | None = None) -> list[str]:
        """Return the values one label has among matching series that may have samples in the period."""
        return list(self._listed(f"/api/v1/label/{quote(name, safe='')}/values", matchers, period))

    def _listed(self, path: str, matchers: Sequence[Matcher], period: Period | None) -> Sequence[Any]:
        period = period or ALL_TIMES
        asked = {"start": f"{period.start_ms / 1000:.3f}", "end": f"{period.end_ms / 1000:.3f}"}
        answer = orjson.loads(self._ask(path, {**asked, "match[]": selector(matchers)}))
        return list(answer.get("data") or [])

    def _ask(self, path: str, asked: dict[str, str]) -> bytes:
        body = self._call("GET", f"{path}?{urlencode(asked)}", seconds=READ_SECONDS)
        if len(body) >= MOST_BYTES:
            raise TooManySamples(f"the query reads more than {MOST_BYTES >> 20} MiB of samples")
        return body

    def _call(
        self, method: str, path: str, *, seconds: float, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> bytes:
        token = settings.CONFIG.metrics_store_token
        credentials = {"authorization": f"Bearer {token}"} if token else {}
        try:
            reply = http.request(
                method, self.url + path, headers={**credentials, **(headers or {})}, body=body, total_seconds=seconds,
                body_bytes=MOST_BYTES,
            )  # fmt: skip
        except (http.Refused, http.Unreachable, http.CutOff) as error:
            raise StoreAway(f"the store of samples is away: {error}") from error
        if 200 <= reply.status < 300:
            return reply.body
        said = f"the store of samples answered {reply.status}: {reply.body[:200].decode(errors='replace')}"
        if method == "GET" and reply.status < 500:
            raise QueryError(said)
        raise StoreAway(said)
