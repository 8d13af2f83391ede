"""Suites of tests by branch, their last runs, and the canaries among their tests."""

import uuid
import zlib
from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from orjson import dumps, loads

from alerts.engine.testruns.canaries import Canary as CanaryFacts
from alerts.engine.testruns.canaries import Expected
from alerts.models.columns import choices, only


def packed(value: Any) -> bytes:
    """Return a value small; names of tests repeat themselves."""
    return zlib.compress(dumps(value), 6)


def unpacked(stored: bytes | memoryview) -> Any:
    """Return what was packed; nothing is an empty map."""
    return loads(zlib.decompress(bytes(stored))) if stored else {}


class TestSuite(models.Model):
    """A suite at a branch: what one line of runs is about."""

    __test__ = False

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=120)
    branch = models.CharField(max_length=200)
    histories = models.BinaryField(default=b"", editable=False, help_text="A sign a run of each test, packed.")
    last_run_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name", "branch"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["name", "branch"], name="testsuite_once")]
        indexes: ClassVar = [models.Index(fields=["name", "-last_run_at"], name="testsuite_newest")]

    def __str__(self) -> str:
        return f"{self.name} at {self.branch}"


class TestRun(models.Model):
    """One run of a suite; the last hundred are kept."""

    __test__ = False

    id = models.BigAutoField(primary_key=True)
    suite = models.ForeignKey(TestSuite, on_delete=models.CASCADE, related_name="runs")
    key = models.CharField(max_length=128, blank=True, help_text="The sender's own id: sent again it is the same run.")
    at = models.DateTimeField(help_text="When it ran: as the report says where that is believable, else received.")
    received_at = models.DateTimeField()
    source = models.ForeignKey("accounts.Source", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    form = models.CharField(max_length=20, help_text="junit, pytest-json or console-json.")
    commit = models.CharField(max_length=64, blank=True)
    url = models.TextField(blank=True, help_text="Where the run can be looked at.")
    total = models.PositiveIntegerField()
    passed = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    skipped = models.PositiveIntegerField()
    errors = models.PositiveIntegerField()
    success_rate = models.FloatField(null=True, blank=True, help_text="Percent; empty where nothing was tried.")
    duration_seconds = models.FloatField(null=True, blank=True)
    modules = models.JSONField(default=dict, help_text="Counts and success rate by module.")
    outcomes = models.BinaryField(default=b"", editable=False, help_text="Names of tests by outcome, packed.")
    flips = models.JSONField(default=list, help_text="Tests that flipped in the runs until this one, the worst first.")
    variation = models.JSONField(default=list, help_text="Modules by how much their rate varies, without single tests.")
    canaries = models.JSONField(default=dict, help_text="What each canary did, by its id.")

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["suite", "key"], name="testrun_once", condition=~models.Q(key=""))
        ]
        indexes: ClassVar = [models.Index(fields=["suite", "-at", "-id"], name="testrun_newest")]

    def __str__(self) -> str:
        return f"run {self.pk}"

    @property
    def tried(self) -> int:
        """Return how many tests were not skipped."""
        return self.passed + self.failed + self.errors


class Canary(models.Model):
    """A test, or several, known not to pass: news when that changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    suite = models.CharField(
        max_length=120, blank=True, help_text="Name of the suite; empty: whichever has such tests."
    )
    path = models.CharField(
        max_length=500,
        help_text="Node id, file, dotted path, bare name, or a glob with * and ?: tests/test_a.py::test_b.",
    )
    expected_status = models.CharField(max_length=20, choices=choices(Expected), default=Expected.XFAIL.value)
    reason = models.TextField(blank=True, help_text="Why it is known not to pass.")
    failure_threshold = models.PositiveIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="Failures in a row after a pass from which on it is news.",
    )  # fmt: skip
    last_status = models.CharField(max_length=20, blank=True, editable=False)
    last_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name_plural = "canaries"
        constraints: ClassVar = [
            models.CheckConstraint(condition=only("expected_status", Expected), name="canary_expected")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def facts(self) -> CanaryFacts:
        """Return it as the engine reads it."""
        return CanaryFacts(str(self.pk), self.name, self.path, Expected(self.expected_status), self.failure_threshold)
