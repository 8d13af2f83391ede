"""One entry of Prometheus' `scrape_configs`, read into a form that a scraper can act on."""

from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from metrics.wire.scraping.fields import BadConfig, Fields
from metrics.wire.scraping.relabelling import Action, BadRelabelling, Step

ACCEPTS = {
    "PrometheusProto": (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
        "escaping=allow-utf-8"
    ),
    "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
    "PrometheusText1.0.0": "text/plain;version=1.0.0;escaping=allow-utf-8",
    "PrometheusText0.0.4": "text/plain;version=0.0.4",
}
PROTOCOLS = ("OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4")
UNSUPPORTED_DISCOVERY = frozenset(
    f"{name}_sd_configs"
    for name in (
        "azure", "consul", "digitalocean", "docker", "dockerswarm", "ec2", "eureka", "gce", "hetzner", "ionos",
        "kubernetes", "kuma", "lightsail", "linode", "marathon", "nerve", "nomad", "oci", "openstack", "outscale",
        "ovhcloud", "puppetdb", "scaleway", "serverset", "stackit", "triton", "uyuni", "vultr", "xds", "aws",
    )
)  # fmt: skip
UNSUPPORTED_HTTP = frozenset({
    "oauth2", "sigv4", "azuread", "google_iam", "proxy_url", "proxy_from_environment", "no_proxy",
    "proxy_connect_header",
})  # fmt: skip
RESERVED_HEADERS = frozenset({
    "authorization", "host", "content-encoding", "content-length", "content-type", "user-agent", "connection",
    "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate", "accept-encoding", "accept",
    "x-prometheus-scrape-timeout-seconds", "transfer-encoding", "te", "trailer", "upgrade", "expect",
})  # fmt: skip
MAX_BODY_BYTES = 256 << 20
DEFAULT_BODY_BYTES = 64 << 20
MIN_INTERVAL_MS = 1_000
VALIDATION = ("", "utf8", "legacy")
ESCAPING = ("", "allow-utf-8", "underscores", "dots", "values")


@dataclass(frozen=True, slots=True)
class Tls:
    """How an encrypted destination is verified; texts are PEM."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure: bool = False
    min_version: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """How a destination is entered: one kind of authorization, further headers, TLS."""

    username: str = ""
    password: str = ""
    password_file: str = ""
    kind: str = ""
    credentials: str = ""
    credentials_file: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    header_files: tuple[tuple[str, str], ...] = ()
    tls: Tls = Tls()
    follow_redirects: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """Addresses with the labels they share."""

    targets: tuple[str, ...]
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class FileDiscovery:
    """Files that hold groups."""

    files: tuple[str, ...]
    refresh_ms: int


@dataclass(frozen=True, slots=True)
class HttpDiscovery:
    """An address that answers with groups."""

    url: str
    refresh_ms: int
    access: Access


@dataclass(frozen=True, slots=True)
class DnsDiscovery:
    """Names whose records are targets."""

    names: tuple[str, ...]
    kind: str
    port: int
    refresh_ms: int


@dataclass(frozen=True, slots=True)
class ScrapeConfig:
    """Everything about one pool of targets."""

    job: str
    interval_ms: int = 60_000
    timeout_ms: int = 10_000
    scheme: str = "http"
    path: str = "/metrics"
    params: tuple[tuple[str, tuple[str, ...]], ...] = ()
    honor_labels: bool = False
    honor_timestamps: bool = True
    track_staleness: bool = False
    protocols: tuple[str, ...] = PROTOCOLS
    fallback: str = ""
    native_histograms: bool = False
    classic_histograms: bool = False
    strict_openmetrics: bool = False
    extra_metrics: bool = False
    compression: bool = True
    body_size_limit: int = DEFAULT_BODY_BYTES
    sample_limit: int = 0
    target_limit: int = 0
    label_limit: int = 0
    label_name_length_limit: int = 0
    label_value_length_limit: int = 0
    relabel: tuple[Step, ...] = ()
    metric_relabel: tuple[Step, ...] = ()
    access: Access = Access()
    static: tuple[Group, ...] = ()
    files: tuple[FileDiscovery, ...] = ()
    http: tuple[HttpDiscovery, ...] = ()
    dns: tuple[DnsDiscovery, ...] = ()
    external_labels: dict[str, str] = field(default_factory=dict)

    @property
    def accept(self) -> str:
        """The Accept header: the first form is wanted most."""
        wanted = self.protocols
        if self.native_histograms and "PrometheusProto" not in wanted:
            wanted = ("PrometheusProto", *wanted)
        offers = [f"{ACCEPTS[name]};q=0.{len(ACCEPTS) + 1 - place}" for place, name in enumerate(wanted)]
        return ",".join([*offers, "*/*;q=0.1"])


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the section `global` gives to every entry."""

    config: ScrapeConfig = ScrapeConfig("")
    legacy_names: bool = False
    timeout_given: bool = False


def read_step(fields: Fields, *, legacy_names: bool) -> Step:
    """Read one relabelling step."""
    if fields.empty("action"):
        raise BadConfig(fields.at("action"), "a relabelling action is missing")
    action = fields.text("action", "replace")
    try:
        kind = Action(action.lower())
    except ValueError:
        raise BadConfig(fields.at("action"), f"{action!r} is not a relabelling action") from None
    step = Step(
        kind, fields.texts("source_labels"), fields.text("separator", ";"), fields.text("regex", "(.*)"),
        fields.count("modulus"), fields.text("target_label"), fields.text("replacement", "$1"),
        legacy_names=legacy_names,
    )  # fmt: skip
    try:
        step.check()
    except BadRelabelling as error:
        raise BadConfig(fields.place, str(error)) from None
    return step


def _steps(fields: Fields, name: str, *, legacy: bool) -> tuple[Step, ...]:
    return fields.each(name, lambda inner: read_step(inner, legacy_names=legacy))


def _one_of(fields: Fields, *names: str) -> None:
    given = [name for name in names if fields.has(name)]
    if len(given) > 1:
        raise BadConfig(fields.place, f"{' and '.join(given)} exclude each other")


def _tls(fields: Fields) -> Tls:
    for name in ("ca", "cert", "key"):
        _one_of(fields, name, f"{name}_file", f"{name}_ref")
        if fields.has(f"{name}_ref"):
            raise BadConfig(fields.at(f"{name}_ref"), "secrets of a secret manager cannot be read here")
    tls = Tls(
        fields.text("ca"), fields.text("cert"), fields.text("key"), fields.text("ca_file"),
        fields.text("cert_file"), fields.text("key_file"), fields.text("server_name"),
        fields.flag("insecure_skip_verify", default=False), fields.text("min_version"),
    )  # fmt: skip
    fields.text("max_version")
    if bool(tls.cert or tls.cert_file) != bool(tls.key or tls.key_file):
        raise BadConfig(fields.place, "a client certificate needs its key, and a key its certificate")
    if tls.min_version not in ("", "TLS10", "TLS11", "TLS12", "TLS13"):
        raise BadConfig(fields.at("min_version"), "one of TLS10, TLS11, TLS12, TLS13 was expected")
    return tls


def _basic(fields: Fields) -> Access:
    _one_of(fields, "password", "password_file")
    _one_of(fields, "username", "username_file")
    if fields.has("username_file"):
        raise BadConfig(fields.at("username_file"), "only the password may come from a file")
    return Access(fields.text("username"), fields.text("password"), fields.text("password_file"))


def _authorization(fields: Fields) -> Access:
    _one_of(fields, "credentials", "credentials_file", "credentials_ref")
    kind = fields.text("type", "Bearer").strip()
    if kind.lower() == "basic":
        raise BadConfig(fields.at("type"), "use basic_auth for the type basic")
    return Access(kind=kind, credentials=fields.text("credentials"), credentials_file=fields.text("credentials_file"))


def _headers(fields: Fields) -> Access:
    found: list[tuple[str, str]] = []
    files: list[tuple[str, str]] = []
    for name in fields.names():
        if name.lower() in RESERVED_HEADERS:
            raise BadConfig(fields.place, f"the header {name} is set by the scraper itself")
        inner = Fields(fields.take(name), fields.at(name))
        found += [(name, value) for value in inner.texts("values") + inner.texts("secrets")]
        files += [(name, file) for file in inner.texts("files")]
        inner.done()
    if any(letter in text for pair in found for text in pair for letter in "\r\n"):
        raise BadConfig(fields.place, "a header is one line")
    return Access(headers=tuple(found), header_files=tuple(files))


def read_access(fields: Fields) -> Access:
    """Read the HTTP options of a scrape or a discovery."""
    for name in UNSUPPORTED_HTTP:
        if fields.take(name):
            raise BadConfig(fields.at(name), "is not supported by this scraper")
    _one_of(fields, "bearer_token", "bearer_token_file")
    _one_of(fields, "basic_auth", "authorization", "bearer_token", "oauth2")
    _one_of(fields, "basic_auth", "authorization", "bearer_token_file", "oauth2")
    access = fields.section("basic_auth", _basic, Access())
    access = fields.section("authorization", _authorization, access)
    token, file = fields.text("bearer_token"), fields.text("bearer_token_file")
    if token or file:
        access = Access(kind="Bearer", credentials=token, credentials_file=file)
    fields.flag("enable_http2", default=True)
    headers = fields.section("http_headers", _headers, Access())
    return replace(
        access,
        headers=headers.headers,
        header_files=headers.header_files,
        tls=fields.section("tls_config", _tls, Tls()),
        follow_redirects=fields.flag("follow_redirects", default=True),
    )


def check_address(address: str, place: str) -> str:
    """Return an address of the form host or host:port, or refuse it."""
    if not address or "/" in address or any(ord(letter) <= 32 for letter in address):
        raise BadConfig(
            place, f"{address[:80]!r} is not an address: host:port was expected, without a scheme or a path"
        )
    return address


def read_group(fields: Fields) -> Group:
    """Read one group of targets."""
    targets = tuple(check_address(one, fields.at("targets")) for one in fields.texts("targets"))
    return Group(targets, fields.labels("labels"))


def _files(fields: Fields) -> FileDiscovery:
    files = fields.texts("files")
    if not files:
        raise BadConfig(fields.place, "files names no file")
    for name in files:
        last = name.rsplit("/", 1)[-1]
        if "*" in name[: -len(last)] or not last.endswith((".json", ".yml", ".yaml")):
            raise BadConfig(
                fields.at("files"), f"{name!r} must end in .json, .yml or .yaml; * stands in the last part only"
            )
    return FileDiscovery(files, fields.duration_ms("refresh_interval", 300_000))


def _http(fields: Fields) -> HttpDiscovery:
    url = fields.text("url")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise BadConfig(fields.at("url"), "an http or https URL with a host was expected")
    return HttpDiscovery(url, max(1000, fields.duration_ms("refresh_interval", 60_000)), read_access(fields))


def _dns(fields: Fields) -> DnsDiscovery:
    names, kind = fields.texts("names"), fields.text("type", "SRV").upper()
    port = fields.count("port")
    if not names:
        raise BadConfig(fields.place, "names is missing")
    if kind not in ("SRV", "A", "AAAA", "MX", "NS"):
        raise BadConfig(fields.at("type"), f"{kind!r} is not one of SRV, A, AAAA, MX, NS")
    if kind != "SRV" and not 0 < port < 65_536:
        raise BadConfig(fields.at("port"), f"records of the type {kind} need a port")
    return DnsDiscovery(names, kind, port, max(1000, fields.duration_ms("refresh_interval", 30_000)))


def _protocols(fields: Fields, default: tuple[str, ...]) -> tuple[str, ...]:
    names = fields.texts("scrape_protocols")
    for name in names:
        if name not in ACCEPTS:
            raise BadConfig(fields.at("scrape_protocols"), f"{name!r} is not one of {', '.join(ACCEPTS)}")
    if len(set(names)) != len(names):
        raise BadConfig(fields.at("scrape_protocols"), "a protocol is named twice")
    return names or default


def _naming(fields: Fields, *, legacy: bool) -> bool:
    scheme = fields.text("metric_name_validation_scheme")
    escaping = fields.text("metric_name_escaping_scheme")
    if scheme not in VALIDATION:
        raise BadConfig(fields.at("metric_name_validation_scheme"), f"{scheme!r} is neither utf8 nor legacy")
    if escaping not in ESCAPING:
        raise BadConfig(fields.at("metric_name_escaping_scheme"), f"one of {', '.join(ESCAPING[1:])} was expected")
    legacy = scheme == "legacy" if scheme else legacy
    if legacy and escaping == "allow-utf-8":
        raise BadConfig(fields.at("metric_name_escaping_scheme"), "allow-utf-8 does not go with legacy names")
    return legacy


def _shared(fields: Fields, base: ScrapeConfig) -> ScrapeConfig:
    """Read what `global` and an entry both may say."""
    fallback = fields.text("fallback_scrape_protocol", base.fallback)
    if fallback and fallback not in ACCEPTS:
        raise BadConfig(fields.at("fallback_scrape_protocol"), f"{fallback!r} is not one of {', '.join(ACCEPTS)}")
    fields.flag("convert_classic_histograms_to_nhcb", default=False)
    fields.take("scrape_failure_log_file")
    return replace(
        base,
        fallback=fallback,
        protocols=_protocols(fields, base.protocols),
        native_histograms=fields.flag("scrape_native_histograms", default=base.native_histograms),
        classic_histograms=fields.flag("always_scrape_classic_histograms", default=base.classic_histograms),
        extra_metrics=fields.flag("extra_scrape_metrics", default=base.extra_metrics),
        body_size_limit=min(fields.size_bytes("body_size_limit", base.body_size_limit), MAX_BODY_BYTES),
        sample_limit=fields.count("sample_limit", base.sample_limit),
        target_limit=fields.count("target_limit", base.target_limit),
        label_limit=fields.count("label_limit", base.label_limit),
        label_name_length_limit=fields.count("label_name_length_limit", base.label_name_length_limit),
        label_value_length_limit=fields.count("label_value_length_limit", base.label_value_length_limit),
    )


def _times(fields: Fields, base: ScrapeConfig, *, timeout_given: bool) -> tuple[int, int]:
    interval = fields.duration_ms("scrape_interval", base.interval_ms) or base.interval_ms
    given = fields.duration_ms("scrape_timeout", 0)
    timeout = given or (base.timeout_ms if timeout_given else min(base.timeout_ms, interval))
    if not given:
        timeout = min(timeout, interval)
    if timeout > interval:
        raise BadConfig(fields.at("scrape_timeout"), "the timeout is longer than the interval")
    if interval < MIN_INTERVAL_MS:
        raise BadConfig(fields.at("scrape_interval"), "an interval of at least 1s was expected")
    return interval, timeout


def read_defaults(fields: Fields) -> Defaults:
    """Read the section `global`; what concerns rules and queries is checked for its form only."""
    for name in ("evaluation_interval", "rule_query_offset"):
        fields.duration_ms(name, 0)
    for name in ("query_log_file", "runtime", "keep_dropped_targets"):
        fields.take(name)
    timeout_given = fields.has("scrape_timeout")
    interval, timeout = _times(fields, ScrapeConfig(""), timeout_given=timeout_given)
    legacy = _naming(fields, legacy=False)
    external = fields.labels("external_labels")
    config = replace(_shared(fields, ScrapeConfig("")), interval_ms=interval, timeout_ms=timeout)
    return Defaults(replace(config, external_labels=external), legacy, timeout_given)


def read_scrape_config(fields: Fields, defaults: Defaults) -> ScrapeConfig:
    """Read one entry; raises BadConfig with the place of what is wrong."""
    for name in UNSUPPORTED_DISCOVERY:
        if fields.take(name) is not None:
            raise BadConfig(
                fields.at(name), "this discovery is not supported; supported are static, file, http and dns"
            )
    base, job = defaults.config, fields.text("job_name")
    if not job:
        raise BadConfig(fields.at("job_name"), "the name of the job is missing")
    legacy = _naming(fields, legacy=defaults.legacy_names)
    interval, timeout = _times(fields, base, timeout_given=defaults.timeout_given)
    scheme = fields.text("scheme", "http")
    if scheme not in ("http", "https"):
        raise BadConfig(fields.at("scheme"), "http or https was expected")
    fields.take("keep_dropped_targets")
    params = {name: Fields({"v": value}, fields.at("params")).texts("v") for name, value in
              (fields.take("params") or {}).items()}  # fmt: skip
    return replace(
        _shared(fields, base),
        job=job, interval_ms=interval, timeout_ms=timeout, scheme=scheme,
        path=fields.text("metrics_path", "/metrics"),
        params=tuple(params.items()),
        honor_labels=fields.flag("honor_labels", default=False),
        honor_timestamps=fields.flag("honor_timestamps", default=True),
        track_staleness=fields.flag("track_timestamps_staleness", default=False),
        strict_openmetrics=fields.flag("strict_openmetrics", default=False),
        compression=fields.flag("enable_compression", default=True),
        relabel=_steps(fields, "relabel_configs", legacy=legacy),
        metric_relabel=_steps(fields, "metric_relabel_configs", legacy=legacy),
        access=read_access(fields),
        static=fields.each("static_configs", read_group),
        files=fields.each("file_sd_configs", _files),
        http=fields.each("http_sd_configs", _http),
        dns=fields.each("dns_sd_configs", _dns),
    )  # fmt: skip


def one_config(document: object) -> ScrapeConfig:
    """Read a single entry that stands for itself."""
    fields = Fields(document, "")
    config = read_scrape_config(fields, Defaults())
    fields.done()
    return config
