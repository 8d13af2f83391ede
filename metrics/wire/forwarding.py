"""One destination of remote write: an entry as in Prometheus' `remote_write`, read into a form a sender can act on."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from metrics.wire.scraping.fields import BadConfig, Fields
from metrics.wire.scraping.relabelling import Step
from metrics.wire.scraping.scrape_config import Access, read_access, read_step

MESSAGES = {"prometheus.WriteRequest": 1, "io.prometheus.write.v2.Request": 2}
NAMES = {version: name for name, version in MESSAGES.items()}
OWN_HEADERS = frozenset({
    "authorization", "host", "content-encoding", "content-length", "content-type", "user-agent", "connection",
    "transfer-encoding", "x-prometheus-remote-write-version", "accept-encoding", "expect", "te", "trailer", "upgrade",
})  # fmt: skip
MOST_SAMPLES = 50_000
MOST_SECONDS = 120
# Sections of an entry that only say how Prometheus itself queues or signs.
IGNORED_QUEUE = ("capacity", "max_shards", "min_shards", "batch_send_deadline", "retry_on_http_429", "sample_age_limit")


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """Everything about one destination but its name."""

    url: str
    version: int = 1
    timeout_ms: int = 30_000
    batch_samples: int = 2_000
    min_backoff_ms: int = 500
    max_backoff_ms: int = 30_000
    headers: tuple[tuple[str, str], ...] = ()
    relabel: tuple[Step, ...] = ()
    external_labels: dict[str, str] = field(default_factory=dict)
    exemplars: bool = False
    histograms: bool = False
    metadata: bool = True
    access: Access = field(default_factory=Access)


def _url(fields: Fields) -> str:
    url = fields.text("url")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        good = False
    if not good:
        raise BadConfig(fields.at("url"), "an http or https URL with a host and without a password was expected")
    return url


def _version(fields: Fields) -> int:
    name = fields.text("protobuf_message", NAMES[1])
    if name not in MESSAGES:
        raise BadConfig(fields.at("protobuf_message"), f"one of {', '.join(MESSAGES)} was expected")
    return MESSAGES[name]


def _headers(fields: Fields) -> tuple[tuple[str, str], ...]:
    found = fields.labels("headers")
    for name, text in found.items():
        if name.lower() in OWN_HEADERS:
            raise BadConfig(fields.at("headers"), f"the header {name} is set by the sender itself")
        if not (name.isascii() and name.replace("-", "a").isalnum()) or "\r" in text or "\n" in text:
            raise BadConfig(fields.at("headers"), f"{name!r} cannot be a header of one line")
    return tuple(found.items())


def _queue(fields: Fields) -> tuple[int, int, int]:
    for name in IGNORED_QUEUE:
        fields.take(name)
    samples = fields.count("max_samples_per_send", 2_000)
    low, high = fields.duration_ms("min_backoff", 500), fields.duration_ms("max_backoff", 30_000)
    if not 1 <= samples <= MOST_SAMPLES:
        raise BadConfig(fields.at("max_samples_per_send"), f"a number from 1 to {MOST_SAMPLES} was expected")
    if not 1 <= low <= high:
        raise BadConfig(fields.at("max_backoff"), "max_backoff is at least min_backoff, and that is above 0")
    return samples, low, high


def _metadata(fields: Fields) -> bool:
    for name in ("send_interval", "max_samples_per_send"):
        fields.take(name)
    return fields.flag("send", default=True)


def remote_config(document: object) -> RemoteConfig:
    """Read an entry; raises BadConfig with the place of what is wrong."""
    fields = Fields(document, "")
    fields.take("name")
    timeout = fields.duration_ms("remote_timeout", 30_000)
    if not 1 <= timeout <= MOST_SECONDS * 1000:
        raise BadConfig(fields.at("remote_timeout"), f"at most {MOST_SECONDS}s")
    samples, low, high = fields.section("queue_config", _queue, (2_000, 500, 30_000))
    config = RemoteConfig(
        url=_url(fields),
        version=_version(fields),
        timeout_ms=timeout,
        batch_samples=samples,
        min_backoff_ms=low,
        max_backoff_ms=high,
        headers=_headers(fields),
        relabel=fields.each("write_relabel_configs", lambda inner: read_step(inner, legacy_names=False)),
        external_labels=fields.labels("external_labels"),
        exemplars=fields.flag("send_exemplars", default=False),
        histograms=fields.flag("send_native_histograms", default=False),
        metadata=fields.section("metadata_config", _metadata, default=True),
        access=read_access(fields),
    )
    fields.done()
    return config
