"""What the metrics app keeps: batches, metrics, series, blocks of samples and refused requests."""

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models

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

    def __str__(self) -> str:
        return self.name


class Series(models.Model):
    """One metric with one set of labels; `id // 200` is the group its samples are packed with."""

    id = models.BigIntegerField(primary_key=True)
    metric = models.ForeignKey(Metric, on_delete=models.CASCADE, related_name="series")
    fingerprint = models.BinaryField(max_length=16, unique=True)
    labels = models.JSONField()
    source = models.ForeignKey("accounts.Source", null=True, on_delete=models.SET_NULL, related_name="+")
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
