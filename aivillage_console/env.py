"""The one typed reader of the environment.

`Config` is the list of all settings: each field is one environment variable (its name in capitals) with type, default,
unit and description. `docs/settings.md` is generated from it and a test keeps the two equal.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, get_type_hints
from urllib.parse import urlsplit

from environ import Env

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_ENV_NAME = "local.env"
# Below the ports systems give away by themselves: 14000 to 14002 beside the usual web port.
DEMO_PORTS, DEMO_SPREAD = 10_000, 20_000


class BadSetting(SystemExit):
    """A setting that cannot be used; as SystemExit it ends the process with its message and no traceback."""


def setting(description: str, *, default: Any, unit: str = "", secret: bool = False) -> Any:
    """Declare one setting; a secret may also be given as a file named by the variable with `_FILE` added."""
    metadata = {"description": description, "unit": unit, "secret": secret}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting of the console, read once at start."""

    # Where it lives
    public_url: str = setting(
        "Address people and receivers see; https switches Secure and HSTS on.", default="http://127.0.0.1:8000"
    )
    sockets_url: str = setting("Origin of the web sockets; empty: the host of PUBLIC_URL on SOCKETS_PORT.", default="")
    allowed_hosts: list[str] = setting(
        "Host names answered besides the host of PUBLIC_URL.", default=["localhost", "127.0.0.1", "[::1]"], unit="list"
    )
    bind_address: str = setting("Address `make run` listens on.", default="127.0.0.1")
    web_port: int = setting("Port of pages, API and ingest.", default=8000, unit="port")
    sockets_port: int = setting("Port of the web sockets.", default=8001, unit="port")
    trusted_proxies: list[str] = setting(
        "Networks whose X-Forwarded-For and X-Forwarded-Proto are believed.", default=[], unit="CIDR list"
    )
    state_dir: str = setting("Directory for embedded data, keys and sockets; empty: var/ beside the code.", default="")

    # Services
    database_url: str = setting(
        "PostgreSQL; empty: `make run` starts an embedded one.", default="", secret=True, unit="URL"
    )
    redis_url: str = setting(
        "Redis or Valkey; empty: `make run` starts an embedded one.", default="", secret=True, unit="URL"
    )
    db_pool_size: int = setting(
        "Connections of a psycopg pool a process; 0: one connection a thread, kept DB_CONN_MAX_AGE_SECONDS.", default=0
    )
    db_conn_max_age_seconds: int = setting("How long a thread keeps its connection.", default=60, unit="seconds")

    # Secrets
    secret_key: str = setting(
        "Signs sessions and links. `make run` makes one in var/; without it nothing starts.", default="", secret=True
    )
    secret_key_fallbacks: list[str] = setting(
        "Earlier keys that are still accepted, for rotation.", default=[], secret=True, unit="list"
    )
    field_keys: list[str] = setting(
        "Keys that seal channel secrets, newest first; empty: derived from SECRET_KEY.",
        default=[],
        secret=True,
        unit="list",
    )

    # Doors and limits
    metrics_allowed_addresses: list[str] = setting(
        "Networks that may read /metrics without a scrape token, besides loopback.", default=[], unit="CIDR list"
    )
    metrics_scrape_token: str = setting("Bearer token that may read /metrics from anywhere.", default="", secret=True)
    outbound_allowed: list[str] = setting(
        "Private or plain-http destinations channels may reach, as CIDR:port (`*` for any port).",
        default=[],
        unit="CIDR:port list",
    )
    api_cors_origins: list[str] = setting(
        "Origins whose pages may ask Prometheus' API with a token of their own; `*`: any.", default=[], unit="list"
    )
    external_labels: list[str] = setting(
        "Labels, as name=value, of all that is federated or read remotely, unless a series has them.",
        default=[],
        unit="list",
    )
    ingest_past_seconds: int = setting("Oldest live sample taken.", default=3600, unit="seconds")
    ingest_future_seconds: int = setting("Farthest sample ahead of the clock taken.", default=600, unit="seconds")
    ingest_requests_per_second: int = setting("Requests one source may send.", default=2_000, unit="1/s")
    ingest_samples_per_second: int = setting("Samples one source may send.", default=1_000_000, unit="1/s")
    ingest_series_per_source: int = setting("Active series one source may have.", default=150_000, unit="series")
    ingest_new_series_per_second: int = setting(
        "New series one source may start; twenty times that at once.", default=5_000, unit="1/s"
    )
    backfill_past_seconds: int = setting(
        "Oldest sample taken with the scope `backfill`.", default=604_800, unit="seconds"
    )
    otlp_translation: str = setting(
        "How OTLP's names become series, by Prometheus' words: UnderscoreEscapingWithSuffixes,"
        " UnderscoreEscapingWithoutSuffixes, NoUTF8EscapingWithSuffixes or NoTranslation.",
        default="UnderscoreEscapingWithSuffixes",
    )
    otlp_promote_resource_attributes: list[str] = setting(
        "Resource attributes that become labels of every OTLP series, not of target_info alone; `*`: all.",
        default=[],
        unit="list",
    )
    otlp_scope_labels: bool = setting("Give OTLP series the labels otel_scope_*.", default=True)
    push_repeat_seconds: int = setting(
        "How often the samples of pushed groups are written again, as a scrape would.", default=30, unit="seconds"
    )
    retention_days: int = setting(
        "Days raw samples are kept, unless a retention class says otherwise.", default=90, unit="days"
    )
    rollup_retention_days: int = setting(
        "Days five-minute roll-ups are kept, unless a retention class says otherwise.", default=400, unit="days"
    )
    retention_classes: list[str] = setting(
        "How long some metrics are kept: name pattern=raw days/roll-up days; the first that matches holds.",
        default=[],
        unit="list",
    )
    sampling_rules: str = setting(
        "Series of which a part is kept: `SELECTOR [rate] [points]`, rules separated by `;`; the rate is 0.1 unless"
        " given, the label __source__ is the sender's name; without a rule all is kept.",
        default="",
    )
    exemplar_retention_days: int = setting("Days exemplars are kept.", default=14, unit="days")
    promql_experimental: bool = setting(
        "Take what Prometheus calls experimental in PromQL: functions, aggregators, duration arithmetic, modifiers.",
        default=False,
    )

    # Work
    telemetry_durable: bool = setting(
        "Wait for the disk before telemetry is acknowledged; alerts, audit and outbox always wait.", default=True
    )
    sweepers_enabled: bool = setting("Evaluator and dispatcher also sweep, not only ring.", default=True)
    celery_enabled: bool = setting("Ring Celery for due work; without it the sweepers do all.", default=True)
    unknown_expires_seconds: int = setting(
        "An alert whose data never comes back resolves, cause expired, after this.", default=86_400, unit="seconds"
    )
    silence_longest_seconds: int = setting(
        "Longest a silence may last that somebody makes here.", default=2_592_000, unit="seconds"
    )
    silence_handover_seconds: int = setting(
        "How long before a silence ends its author hears that alerts still fire; 0: never, unless it says so.",
        default=900, unit="seconds",
    )  # fmt: skip
    silence_stale_seconds: int = setting(
        "A silence that covered no alert for so long is shown as stale.", default=21_600, unit="seconds"
    )
    storm_control_enabled: bool = setting("Fold a storm of notifications into digests.", default=True)
    max_alerts_per_minute: int = setting(
        "Alerts a channel is told one by one in a minute; what exceeds them goes into a digest.", default=50
    )
    ack_reminder_seconds: int = setting(
        "When an acknowledgement ends by itself unless it says so; 0: never.", default=86_400, unit="seconds"
    )
    worker_threads: int = setting("Threads of the Celery worker.", default=4)
    worker_memory_bytes: int = setting(
        "Resident size at which the supervisor restarts the worker.", default=400_000_000, unit="bytes"
    )
    web_threads: int = setting("Blocking threads of the web process.", default=4)

    # Scraping
    scrape_files_dir: str = setting(
        "Directory below which scrape configurations may name files (discovery, certificates, passwords); empty: none.",
        default="",
    )

    # Configuration as code
    configuration_variables: list[str] = setting(
        "Variables of the console's environment that files may name which an admin imports by page or API.",
        default=["ALERT_WEBHOOK_URL", "ALERT_EMAIL_PASSWORD", "GITHUB_TOKEN", "SENTRY_DSN", "SLACK_WEBHOOK_URL"],
        unit="list",
    )

    # Another store of samples
    metrics_store_url: str = setting(
        "VictoriaMetrics that keeps all samples in the place of PostgreSQL: its address before /api/v1; empty: none.",
        default="",
    )
    metrics_store_token: str = setting("Bearer token for METRICS_STORE_URL.", default="", secret=True)

    # Remote write out
    remote_write_keep_seconds: int = setting(
        "How long samples wait for a destination of remote write that is away.", default=172_800, unit="seconds"
    )
    remote_write_keep_bytes: int = setting(
        "How much waits for such destinations at most; the oldest goes first.", default=2_147_483_648, unit="bytes"
    )

    # Security
    brute_force_threshold: int = setting(
        "Failed tries within 300 s that are remarkable; fewer make every count weigh more.", default=5, unit="tries"
    )
    sql_injection_sensitivity: float = setting(
        "How readily texts are found to be attacks: those scored from 1 minus this are findings.",
        default=0.7, unit="0 to 1",
    )  # fmt: skip
    rate_limit_multiplier: float = setting(
        "Requests a minute that are usual, in halves of the documented bases: 4 allows twice as many.", default=2.0
    )
    behavior_analysis_enabled: bool = setting("Score odd hours, risky operations and volumes of data.", default=True)
    security_finding_score: float = setting(
        "Score from which something is kept as a finding.", default=0.3, unit="0 to 1"
    )
    security_alert_score: float = setting(
        "Score from which a rule of the kind `security_event` alerts when it names none.", default=0.7, unit="0 to 1"
    )
    security_score_half_life_seconds: int = setting(
        "Time in which the threat score of a user or an address halves.", default=3600, unit="seconds"
    )
    security_auto_block: bool = setting("Block the address of a critical finding.", default=True)
    security_auto_block_seconds: int = setting("How long such a block lasts.", default=3600, unit="seconds")
    security_block_seconds: int = setting(
        "How long a person's block lasts unless said.", default=14_400, unit="seconds"
    )
    security_own_networks: list[str] = setting(
        "Networks that are blocked only by force, besides loopback and the trusted proxies.",
        default=[],
        unit="CIDR list",
    )
    security_hash_labels: bool = setting(
        "Put hashes of users and addresses, not themselves, into the labels of the security metrics.", default=False
    )
    security_retention_days: int = setting("Days events below high are kept.", default=90, unit="days")
    security_high_retention_days: int = setting(
        "Days high events are kept; critical ones are kept for ever.", default=365, unit="days"
    )

    # Agent Forge
    forge_retention_days: int = setting("Days a run is kept after its last event.", default=90, unit="days")

    # The demo
    demo_enabled: bool = setting(
        "Offer the demo run on Setup; `make run` does, and lets channels reach the demo's receivers on loopback.",
        default=False,
    )

    # Telling about itself
    debug: bool = setting("Django's debug pages; never on a reachable address.", default=False)
    role: str = setting("Name of this process in logs and in pg_stat_activity.", default="shell")
    log_level: str = setting("DEBUG, INFO, WARNING or ERROR.", default="INFO")
    log_json: bool = setting("One JSON object a log line instead of text.", default=False)
    sentry_dsn: str = setting("Send the console's own errors to Sentry; empty: off.", default="", secret=True)
    sentry_traces_sample_rate: float = setting("Share of requests traced to Sentry.", default=0.1, unit="0 to 1")
    sentry_profiles_sample_rate: float = setting(
        "Share of traced requests profiled to Sentry.", default=0.1, unit="0 to 1"
    )
    otel_exporter_otlp_endpoint: str = setting(
        "Base URL the console's own traces go to by OTLP over HTTP; empty: off.", default="", unit="URL"
    )
    console_collector_token: str = setting(
        "Ingest token `manage.py collect` sends with; `make run` makes one.", default="", secret=True
    )
    console_collector_url: str = setting(
        "Console that `manage.py collect` sends to; empty: this one on WEB_PORT.", default="", unit="URL"
    )
    prometheus_multiproc_dir: str = setting(
        "Directory in which the processes share their own metrics; `make run` sets it.", default=""
    )

    @property
    def sockets_origin(self) -> str:
        """Origin (ws or wss) at which browsers reach the sockets process."""
        if self.sockets_url:
            return self.sockets_url
        public = urlsplit(self.public_url)
        scheme = "wss" if public.scheme == "https" else "ws"
        return f"{scheme}://{public.hostname}:{self.sockets_port}"

    @property
    def demo_ports(self) -> tuple[int, int, int]:
        """Ports of loopback at which the demo's chat, mail and issue receivers listen; apart for each web port."""
        first = DEMO_PORTS + self.web_port * 3 % DEMO_SPREAD
        return first, first + 1, first + 2

    @property
    def state_path(self) -> Path:
        """Directory for what must outlive a process."""
        return Path(self.state_dir) if self.state_dir else BASE_DIR / "var"


def _refuse(name: str, value: str, expected: str, *, secret: bool) -> NoReturn:
    shown = "(hidden, it is a secret)" if secret else repr(value)
    raise BadSetting(f"Setting {name} has the value {shown}, expected {expected}. See docs/settings.md.")


def _bool(text: str) -> bool:
    truth = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return truth[text.strip().lower()]


def _list(text: str) -> list[str]:
    return [part for part in Env.parse_value(text, list) if part]


def _is_retention_class(text: str) -> bool:
    pattern, _, days = text.rpartition("=")
    parts = days.split("/")
    return bool(pattern) and len(parts) == 2 and all(part.isdecimal() for part in parts)


PARSERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    str: (str.strip, "text"),
    bool: (_bool, "one of true, false, 1, 0, yes, no, on, off"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    list[str]: (_list, "values separated by commas"),
}
_HTTP = ("an http or https URL with a host", lambda v: urlsplit(v).scheme in ("http", "https") and urlsplit(v).hostname)
_SHARE = ("a number from 0 to 1", lambda v: 0 <= v <= 1)
_PORT = ("a port from 1 to 65535", lambda v: 1 <= v <= 65535)
_POSITIVE = ("a whole number above 0", lambda v: v > 0)
# As metrics.wire.otlp.naming.Strategy has them, which no settings may import.
_TRANSLATIONS = (
    "UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes",
    "NoUTF8EscapingWithSuffixes", "NoTranslation",
)  # fmt: skip
RULES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "public_url": _HTTP,
    "sockets_url": ("a ws or wss URL with a host", lambda v: urlsplit(v).scheme in ("ws", "wss")),
    "otel_exporter_otlp_endpoint": _HTTP,
    "database_url": ("a URL that begins with postgresql:// or postgres://", lambda v: v.startswith("postgres")),
    "redis_url": ("a URL that begins with redis:// or rediss://", lambda v: v.startswith("redis")),
    "web_port": _PORT,
    "sockets_port": _PORT,
    "web_threads": _POSITIVE,
    "worker_threads": _POSITIVE,
    "max_alerts_per_minute": _POSITIVE,
    "ack_reminder_seconds": ("a whole number, 0 or more", lambda v: v >= 0),
    "silence_longest_seconds": _POSITIVE,
    "silence_handover_seconds": ("a whole number, 0 or more", lambda v: v >= 0),
    "silence_stale_seconds": _POSITIVE,
    "retention_days": _POSITIVE,
    "rollup_retention_days": _POSITIVE,
    "exemplar_retention_days": _POSITIVE,
    "retention_classes": (
        "pattern=raw days/roll-up days, as in go_.*=7/30",
        lambda classes: all(_is_retention_class(one) for one in classes),
    ),
    "metrics_store_url": ("empty, or an http or https URL with a host", lambda v: not v or _HTTP[1](v)),
    "otlp_translation": (f"one of {', '.join(_TRANSLATIONS)}", lambda v: v in _TRANSLATIONS),
    "remote_write_keep_seconds": _POSITIVE,
    "remote_write_keep_bytes": _POSITIVE,
    "brute_force_threshold": _POSITIVE,
    "sql_injection_sensitivity": _SHARE,
    "rate_limit_multiplier": ("a number above 0", lambda v: v > 0),
    "security_finding_score": _SHARE,
    "security_alert_score": _SHARE,
    "security_score_half_life_seconds": _POSITIVE,
    "security_auto_block_seconds": _POSITIVE,
    "security_block_seconds": _POSITIVE,
    "security_retention_days": _POSITIVE,
    "forge_retention_days": _POSITIVE,
    "security_high_retention_days": _POSITIVE,
    "sentry_traces_sample_rate": _SHARE,
    "sentry_profiles_sample_rate": _SHARE,
    "log_level": ("DEBUG, INFO, WARNING or ERROR", lambda v: v in ("DEBUG", "INFO", "WARNING", "ERROR")),
    "secret_key": ("at least 32 characters", lambda v: len(v) >= 32),
}


def _raw(name: str, environment: Mapping[str, str], *, secret: bool) -> str | None:
    if secret and (file := environment.get(f"{name}_FILE")):
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            _refuse(f"{name}_FILE", file, f"a readable file ({error.strerror})", secret=False)
    return environment.get(name)


def read(environment: Mapping[str, str]) -> Config:
    """Return the settings found in `environment`; end the process with a message at the first bad one."""
    hints, found = get_type_hints(Config), {}
    for field in dataclasses.fields(Config):
        name, secret = field.name.upper(), field.metadata["secret"]
        text = _raw(name, environment, secret=secret)
        if text is None or (text == "" and hints[field.name] is not bool):
            continue
        parse, expected = PARSERS[hints[field.name]]
        try:
            value = parse(text)
        except (ValueError, KeyError):
            _refuse(name, text, expected, secret=secret)
        rule = RULES.get(field.name)
        if rule and not rule[1](value):
            _refuse(name, text, rule[0], secret=secret)
        found[field.name] = value
    return Config(**found)


def environment() -> dict[str, str]:
    """Return the process environment over what a running `make run` left in its state directory for its neighbours."""
    known = dict(os.environ)
    left = Path(known.get("STATE_DIR") or BASE_DIR / "var") / LOCAL_ENV_NAME
    if left.is_file() and os.access(left, os.R_OK):
        for line in left.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            known.setdefault(name, value)
    return known


def documentation() -> str:
    """Return docs/settings.md."""
    hints = get_type_hints(Config)
    rows = ["| variable | type | unit | default | what it does |", "|---|---|---|---|---|"]
    for field in dataclasses.fields(Config):
        kind = getattr(hints[field.name], "__name__", str(hints[field.name]))
        made = field.default_factory
        value = field.default if made is dataclasses.MISSING else ",".join(made())
        secret = " Secret: also read from the file named by `" + field.name.upper() + "_FILE`."
        text = field.metadata["description"] + (secret if field.metadata["secret"] else "")
        rows.append(f"| `{field.name.upper()}` | {kind} | {field.metadata['unit']} | `{value}` | {text} |")
    head = (
        "# Settings\n\nEvery setting is an environment variable, read once by `aivillage_console/env.py`; a bad value "
        "ends the process with its name and what is expected.\nThis page is generated: `make docs`.\n\n"
    )
    return head + "\n".join(rows).replace("`` |", " |") + "\n"
