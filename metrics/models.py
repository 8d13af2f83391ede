"""What the metrics app keeps: batches, metrics, series, blocks of samples and refused requests."""

import json
import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from aivillage_console.lib import sealing

# Ids are handed out in groups, so that one group block holds the neighbours of one metric.
SERIES_PER_GROUP = 200


class MetricType(models.TextChoices):
    """What a metric's samples mean."""

    COUNTER = "counter", "Counter"
    GAUGE = "gauge", "Gauge"
    HISTOGRAM = "histogram", "Histogram"
    SUMMARY = "summary", "Summary"
    UNTYPED = "untyped", "Untyped"


class IngestBatch(models.Model):
    """A batch that was taken in; a second one with the same id gets the stored reply."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey("accounts.Source", on_delete=models.CASCADE, related_name="+")
    batch_id = models.CharField(max_length=64)
    kind = models.CharField(max_length=32)
    reply = models.JSONField(default=dict)
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        """The pair is what makes a repeat harmless."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["source", "batch_id"], name="metrics_batch_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.batch_id}"


class Metric(models.Model):
    """A metric name and what is known about it."""

    id = models.BigAutoField(primary_key=True)
    name = models.TextField(unique=True)
    type = models.CharField(max_length=16, choices=MetricType.choices, default=MetricType.UNTYPED)
    unit = models.CharField(max_length=64, blank=True)
    help = models.TextField(blank=True)
    last_series_id = models.BigIntegerField(null=True, blank=True, editable=False)
    # How many there are, so that nobody counts them all; unknown until the compactor has looked at an older metric.
    series_count = models.IntegerField(null=True, editable=False)

    def __str__(self) -> str:
        return self.name


class Series(models.Model):
    """One metric with one set of labels; `id // 200` is the group its samples are packed with."""

    id = models.BigIntegerField(primary_key=True)
    # Without constraints in the database: each new row would be looked up twice more, for parents that are locked.
    metric = models.ForeignKey(Metric, on_delete=models.CASCADE, related_name="series", db_constraint=False)
    fingerprint = models.BinaryField(max_length=16, unique=True)
    labels = models.JSONField()
    source = models.ForeignKey(
        "accounts.Source", null=True, on_delete=models.SET_NULL, related_name="+", db_constraint=False
    )
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        """Counted per source by the cardinality limit."""

        verbose_name_plural = "series"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["source", "last_seen_at"], name="metrics_series_by_source")
        ]

    def __str__(self) -> str:
        return f"series {self.pk}"


class SeriesFence(models.Model):
    """One row: which series have been marked as leaving so far, and where the sweep of the dead goes on.

    Samples are only written by who knows all marks up to `epoch`; those up to `forgotten_epoch` are there no more.
    """

    id = models.SmallIntegerField(primary_key=True)
    epoch = models.BigIntegerField(default=0)
    forgotten_epoch = models.BigIntegerField(default=0)
    forgotten_xid = models.BigIntegerField(default=0)
    swept_to = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"epoch {self.epoch}"


class LeavingSeries(models.Model):
    """A series without samples that is about to go, or has gone: then its id is never written to again."""

    id = models.BigIntegerField(primary_key=True)
    epoch = models.BigIntegerField(db_index=True)
    marked_xid = models.BigIntegerField()
    seen_at = models.DateTimeField()
    labels = models.JSONField()
    source_id = models.UUIDField(null=True)
    gone_xid = models.BigIntegerField(null=True, db_index=True)
    gone_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"series {self.pk}, {'gone' if self.gone_xid else 'leaving'}"


class SourceSeries(models.Model):
    """How many active series a source has: counted each minute, added to by whoever registers some."""

    source_id = models.UUIDField(primary_key=True)
    series = models.IntegerField(default=0)
    counted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.series} series of {self.source_id}"


class MetricFigures(models.Model):
    """What a metric holds and costs, as the compactor last counted it; pages read this and scan nothing."""

    metric_id = models.BigIntegerField(primary_key=True)
    counted_at = models.DateTimeField()
    new = models.IntegerField(default=0)
    active = models.IntegerField(default=0)
    # Ids of one metric grow, so that this one tells its new series from the others.
    first_new_id = models.BigIntegerField(null=True)
    blocks = models.BigIntegerField(default=0)
    samples = models.BigIntegerField(default=0)
    data_bytes = models.BigIntegerField(default=0)
    # By source: [series, new, active]; by day: series that came; by day: [blocks, samples, bytes].
    sources = models.JSONField(default=dict)
    days = models.JSONField(default=dict)
    stored_days = models.JSONField(default=dict)

    class Meta:
        """A row a metric."""

        verbose_name_plural = "figures of metrics"

    def __str__(self) -> str:
        return f"figures of metric {self.pk}"


class MetadataEntry(models.Model):
    """Type, unit and help as a sender declared them for a metric family, which may have no series of its own name."""

    id = models.BigAutoField(primary_key=True)
    family = models.TextField(unique=True)
    type = models.CharField(max_length=16, default="untyped")
    unit = models.CharField(max_length=64, blank=True)
    help = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.family


class HeadBlock(models.Model):
    """The samples of one request, committed before its answer and packed into group blocks within the minute."""

    id = models.BigAutoField(primary_key=True)
    t_min = models.BigIntegerField()
    t_max = models.BigIntegerField()
    samples = models.IntegerField()
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"head block {self.pk}"


class RecentBlock(models.Model):
    """A group block that will be packed again within hours or when its day is over."""

    id = models.BigIntegerField(primary_key=True)
    day = models.DateField()
    metric = models.ForeignKey(
        Metric, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    group_no = models.BigIntegerField()
    level = models.SmallIntegerField()
    t_min = models.BigIntegerField()
    t_max = models.BigIntegerField()
    samples = models.IntegerField()
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"recent block {self.pk}"


class GroupBlock(models.Model):
    """Samples of up to 200 series of one metric over a time range; partitioned by day, so it is never migrated."""

    pk = models.CompositePrimaryKey("day", "id")
    day = models.DateField()
    id = models.BigIntegerField()
    metric = models.ForeignKey(Metric, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False)
    group_no = models.BigIntegerField()
    level = models.SmallIntegerField()
    t_min = models.BigIntegerField()
    t_max = models.BigIntegerField()
    samples = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        """Made by SQL in the migration."""

        managed = False
        db_table = "metrics_groupblock"

    def __str__(self) -> str:
        return f"group block {self.day}/{self.id}"


class RollupBlock(models.Model):
    """What a day of a group comes to every five minutes; `of_id` is the latest block that went into it."""

    pk = models.CompositePrimaryKey("group_no", "day")
    day = models.DateField()
    group_no = models.BigIntegerField()
    metric = models.ForeignKey(
        Metric, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    of_id = models.BigIntegerField()
    samples = models.IntegerField()
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"roll-up of group {self.group_no} on {self.day}"


class Exemplar(models.Model):
    """An observation beside the samples of a series; `digest` tells those of one time apart."""

    pk = models.CompositePrimaryKey("series_id", "at_ms", "digest")
    series_id = models.BigIntegerField()
    at_ms = models.BigIntegerField()
    digest = models.BigIntegerField()
    value = models.FloatField()
    labels = models.JSONField()

    class Meta:
        """Retention walks the table by time."""

        indexes: ClassVar[list[models.Index]] = [BrinIndex(fields=["at_ms"], name="metrics_exemplar_times")]

    def __str__(self) -> str:
        return f"exemplar of series {self.series_id} at {self.at_ms}"


class DeltaTotal(models.Model):
    """What the deltas of one series add up to: those who send them keep no sum, so the console does, once for all."""

    series_id = models.BigIntegerField(primary_key=True)
    last_ms = models.BigIntegerField(default=0)
    value = models.FloatField(default=0.0)
    histogram = models.BinaryField(null=True)
    updated_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"total of series {self.series_id}"


class PushGroup(models.Model):
    """A group of metrics that was pushed, named by its labels; its samples are repeated until it is deleted."""

    id = models.BigAutoField(primary_key=True)
    key = models.BinaryField(max_length=16, unique=True)
    labels = models.JSONField()
    source = models.ForeignKey("accounts.Source", on_delete=models.CASCADE, related_name="+")
    pushed_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in sorted(self.labels.items()))


class PushFamily(models.Model):
    """One metric family of a pushed group: its series and their present values."""

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey(PushGroup, on_delete=models.CASCADE, related_name="families")
    name = models.TextField(db_index=True)
    type = models.CharField(max_length=16)
    series_ids = ArrayField(models.BigIntegerField())
    values = ArrayField(models.FloatField())
    histograms = ArrayField(models.BinaryField(null=True), null=True)

    class Meta:
        """A name is in a group once."""

        verbose_name_plural = "push families"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["group", "name"], name="metrics_push_family_once")
        ]

    def __str__(self) -> str:
        return self.name


class ScrapePool(models.Model):
    """Targets scraped the same way: one entry of Prometheus' `scrape_configs`, its secrets kept apart, sealed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True, help_text="Becomes the label job.")
    config = models.JSONField(default=dict, blank=True, help_text="As in Prometheus' scrape_configs, without job_name.")
    secrets_sealed = models.BinaryField(null=True, blank=True, editable=False)
    enabled = models.BooleanField(default=True)
    source = models.ForeignKey(
        "accounts.Source", null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    discovery_error = models.CharField(max_length=500, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        """Pools are few and read by name."""

        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name

    def seal(self, secrets: dict[str, str]) -> None:
        """Put the secrets into the row; the caller saves."""
        self.secrets_sealed = sealing.seal(json.dumps(secrets), str(self.id)) if secrets else None

    def unseal(self) -> dict[str, str]:
        """Return the secrets by their place in the configuration."""
        if not self.secrets_sealed:
            return {}
        return dict(json.loads(sealing.unseal(bytes(self.secrets_sealed), str(self.id))))


class TargetHealth(models.TextChoices):
    """How a target fared; those that relabelling dropped are not scraped."""

    UNKNOWN = "unknown", "Not scraped yet"
    UP = "up", "Up"
    DOWN = "down", "Down"
    DROPPED = "dropped", "Dropped"


class ScrapeTarget(models.Model):
    """A target as the scraper last saw it; written in batches, read by pages."""

    id = models.BigAutoField(primary_key=True)
    pool = models.ForeignKey(ScrapePool, on_delete=models.CASCADE, related_name="targets")
    key = models.CharField(max_length=32)
    scrape_url = models.TextField(blank=True)
    discovered_labels = models.JSONField(default=dict)
    labels = models.JSONField(default=dict)
    health = models.CharField(max_length=8, choices=TargetHealth, default=TargetHealth.UNKNOWN)
    last_error = models.CharField(max_length=500, blank=True)
    last_scrape_at = models.DateTimeField(null=True)
    last_duration_seconds = models.FloatField(default=0.0)
    interval_ms = models.PositiveIntegerField(default=0)
    timeout_ms = models.PositiveIntegerField(default=0)
    samples = models.PositiveIntegerField(default=0)

    class Meta:
        """A target is in a pool once."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["pool", "key"], name="metrics_target_once")
        ]

    def __str__(self) -> str:
        return self.scrape_url or f"dropped target {self.pk}"

    @property
    def address(self) -> str:
        """The address as it was discovered."""
        return str(self.discovered_labels.get("__address__", ""))


class RemoteTarget(models.Model):
    """A larger store that everything newly stored is sent to: an entry as in Prometheus' `remote_write`.

    The cursors say up to which transaction (and block of it) it has been sent everything; only the sender moves them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    config = models.JSONField(default=dict, help_text="As an entry of Prometheus' remote_write.")
    secrets_sealed = models.BinaryField(null=True, blank=True, editable=False)
    enabled = models.BooleanField(default=True)
    cursor_xid = models.BigIntegerField(default=0, editable=False)
    cursor_id = models.BigIntegerField(default=0, editable=False)
    exemplar_xid = models.BigIntegerField(default=0, editable=False)
    # The end of the portion that is on its way: after a death it goes again in the same requests, which a receiver that
    # refuses a whole request for one sample it has already can tell from new ones.
    pending_xid = models.BigIntegerField(null=True, editable=False)
    pending_id = models.BigIntegerField(null=True, editable=False)
    sent_samples = models.BigIntegerField(default=0, editable=False)
    failed_samples = models.BigIntegerField(default=0, editable=False)
    dropped_samples = models.BigIntegerField(default=0, editable=False)
    last_error = models.CharField(max_length=500, blank=True, editable=False)
    last_sent_at = models.DateTimeField(null=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        """Destinations are few and read by name."""

        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name

    def seal(self, secrets: dict[str, str]) -> None:
        """Put the secrets into the row; the caller saves."""
        self.secrets_sealed = sealing.seal(json.dumps(secrets), str(self.id)) if secrets else None

    def unseal(self) -> dict[str, str]:
        """Return the secrets by their place in the configuration."""
        if not self.secrets_sealed:
            return {}
        return dict(json.loads(sealing.unseal(bytes(self.secrets_sealed), str(self.id))))


class UnsentBlock(models.Model):
    """A head block that was packed before every destination had it; its id is what it was."""

    id = models.BigIntegerField(primary_key=True)
    created_xid = models.BigIntegerField()
    samples = models.IntegerField()
    data = models.BinaryField()
    kept_at = models.DateTimeField()

    class Meta:
        """Read in this order."""

        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["created_xid", "id"], name="metrics_unsent_order")
        ]

    def __str__(self) -> str:
        return f"unsent block {self.pk}"


class RejectedRequest(models.Model):
    """A request a door refused, kept for the Setup page; only the newest are kept."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    door = models.CharField(max_length=64)
    source = models.ForeignKey("accounts.Source", null=True, on_delete=models.SET_NULL, related_name="+")
    ip = models.GenericIPAddressField(null=True, blank=True)
    status = models.SmallIntegerField()
    reason = models.CharField(max_length=300)
    excerpt = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"
