"""From discovered labels to a target, and from a target's labels to those of its samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import urlencode, urlsplit, urlunsplit

from aivillage_console.lib.durations import BadDuration, format_ms, parse_ms
from metrics.domain import MAX_VALUE_BYTES, METRIC_NAME_LABEL
from metrics.wire.scraping.fields import BadConfig
from metrics.wire.scraping.relabelling import Step, relabelled
from metrics.wire.scraping.scrape_config import MIN_INTERVAL_MS, ScrapeConfig, check_address

ADDRESS, SCHEME, PATH = "__address__", "__scheme__", "__metrics_path__"
INTERVAL, TIMEOUT, PARAM = "__scrape_interval__", "__scrape_timeout__", "__param_"
EXPORTED = "exported_"
Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """What is scraped: where, how often, and the labels its samples get."""

    key: str
    url: str
    labels: Labels
    discovered: Labels
    interval_ms: int
    timeout_ms: int

    @property
    def spread(self) -> int:
        """A number of 64 bits that puts targets at different places of their interval."""
        return int(self.key[:16], 16)


def discovered_labels(config: ScrapeConfig, found: Mapping[str, str]) -> Labels:
    """Return what is known of a target before relabelling."""
    labels = {
        "job": config.job,
        INTERVAL: format_ms(config.interval_ms),
        TIMEOUT: format_ms(config.timeout_ms),
        PATH: config.path,
        SCHEME: config.scheme,
        **{f"{PARAM}{name}": values[0] for name, values in config.params if values},
    }
    return {**labels, **{name: value for name, value in found.items() if value}}


def _key(url: str, labels: Mapping[str, str]) -> str:
    digest = blake2b(url.encode(), digest_size=16)
    for name in sorted(labels):
        digest.update(f"\0{name}\0{labels[name]}".encode())
    return digest.hexdigest()


def _url(config: ScrapeConfig, labels: Mapping[str, str]) -> str:
    params = [(name, list(values)) for name, values in config.params]
    known = {name for name, _ in params}
    for label, value in labels.items():
        if not label.startswith(PARAM):
            continue
        name = label.removeprefix(PARAM)
        if name in known:
            params = [(each, [value, *values[1:]] if each == name else values) for each, values in params]
        else:
            params.append((name, [value]))
    pairs = [(name, value) for name, values in sorted(params) for value in values]
    path = urlsplit(labels.get(PATH, ""))
    query = "&".join(part for part in (path.query, urlencode(pairs)) if part)
    place = path.path if path.path.startswith("/") else f"/{path.path}"
    return urlunsplit((labels.get(SCHEME, "http"), labels[ADDRESS], place, query, ""))


def _duration(labels: Mapping[str, str], name: str) -> int:
    try:
        found = parse_ms(labels.get(name, ""))
    except BadDuration as error:
        raise BadConfig(name, str(error)) from None
    if found < 1:
        raise BadConfig(name, "must be above 0")
    return found


def build_target(config: ScrapeConfig, discovered: Labels) -> Target | None:
    """Return the target these labels make, None where relabelling drops it; raises BadConfig."""
    labels = relabelled(discovered, config.relabel)
    if labels is None:
        return None
    if not labels.get(ADDRESS):
        raise BadConfig(ADDRESS, "the target has no address")
    check_address(labels[ADDRESS], ADDRESS)
    if labels.get(SCHEME, "http") not in ("http", "https"):
        raise BadConfig(SCHEME, "http or https was expected")
    interval, timeout = _duration(labels, INTERVAL), _duration(labels, TIMEOUT)
    if timeout > interval or interval < MIN_INTERVAL_MS:
        raise BadConfig(INTERVAL, "must be at least 1s and not below the timeout")
    url = _url(config, labels)
    labels.setdefault("instance", labels[ADDRESS])
    public = {name: value for name, value in sorted(labels.items()) if not name.startswith("__")}
    for name, value in public.items():
        if len(value.encode()) > MAX_VALUE_BYTES:
            raise BadConfig(name, f"the label is longer than {MAX_VALUE_BYTES} bytes")
    return Target(_key(url, public), url, public, discovered, interval, timeout)


def sample_labels(
    own: Labels, target: Mapping[str, str], steps: Sequence[Step], *, honor_labels: bool
) -> Labels | None:
    """Return the labels of a sample of this target, None where relabelling drops it."""
    labels = {name: value for name, value in own.items() if value}
    for name, value in target.items():
        if honor_labels and name in own:
            continue
        if name in labels:
            moved = f"{EXPORTED}{name}"
            while moved in own or moved in target:
                moved = f"{EXPORTED}{moved}"
            labels[moved] = labels[name]
        labels[name] = value
    return relabelled(labels, steps) if steps else labels


def report_labels(name: str, target: Mapping[str, str]) -> Labels:
    """Return the labels of a series the scraper itself writes about a target."""
    return {**target, METRIC_NAME_LABEL: name}


def limit_broken(labels: Mapping[str, str], config: ScrapeConfig) -> str:
    """Say which limit on labels these break, nothing where they break none."""
    if config.label_limit and len(labels) > config.label_limit:
        return f"label_limit exceeded: {len(labels)} labels, limit {config.label_limit}"
    for name, value in labels.items():
        if config.label_name_length_limit and len(name) > config.label_name_length_limit:
            return f"label_name_length_limit exceeded: {name[:80]!r} has {len(name)}"
        if config.label_value_length_limit and len(value) > config.label_value_length_limit:
            return f"label_value_length_limit exceeded: the value of {name[:80]!r} has {len(value)}"
    return ""
