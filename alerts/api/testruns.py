"""Suites of tests, their runs, and canaries, over REST."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.permissions import Gate
from aivillage_console.accounts.rest import ConsoleViewSet, StrictSerializer
from aivillage_console.lib import clock
from alerts.api.configured import ConfiguredViewSet
from alerts.models import Canary, TestRun
from alerts.models.testruns import unpacked
from alerts.services.testruns import canary_save


class TestRunSerializer(serializers.ModelSerializer[TestRun]):
    """One run of a suite at a branch."""

    __test__ = False

    suite = serializers.CharField(source="suite.name", read_only=True)
    branch = serializers.CharField(source="suite.branch", read_only=True)
    total_tests = serializers.IntegerField(source="total", read_only=True)
    duration = serializers.FloatField(source="duration_seconds", read_only=True, help_text="Seconds.")
    flaky_tests = serializers.JSONField(source="flips", read_only=True)

    class Meta:
        model = TestRun
        fields = (
            "id", "suite", "branch", "key", "at", "received_at", "form", "commit", "url", "total_tests", "passed",
            "failed", "skipped", "errors", "success_rate", "duration", "modules", "flaky_tests", "canaries",
        )  # fmt: skip
        read_only_fields = fields


class OutcomesSerializer(serializers.Serializer[Any]):
    """Names of tests by how they ended."""

    outcomes = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))


@extend_schema(tags=["test-runs"])
class TestRunViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Runs of test suites, newest first; they come in by POST /api/v1/ingest/test-runs."""

    __test__ = False

    queryset: QuerySet[TestRun] = TestRun.objects.select_related("suite").defer("outcomes", "suite__histories")
    serializer_class = TestRunSerializer
    permission_classes = (Gate,)
    lookup_value_regex = "[0-9]{1,18}"
    filterset_fields: ClassVar[list[str]] = ["suite__name", "suite__branch", "commit", "form"]

    @extend_schema(responses=OutcomesSerializer)
    @action(detail=True, filterset_fields=None)
    def outcomes(self, request: Request, pk: str) -> Response:
        """Return how each test of the run ended."""
        return Response({"outcomes": unpacked(self.get_object().outcomes)})


class CanarySerializer(StrictSerializer, serializers.ModelSerializer[Canary]):
    """A test, or several, known not to pass."""

    expected_version = serializers.IntegerField(
        write_only=True, required=False, help_text="The version you read; a newer one in store answers 409."
    )

    class Meta:
        model = Canary
        fields = (
            "id", "name", "suite", "path", "expected_status", "reason", "failure_threshold", "last_status",
            "last_changed_at", "version", "created_at", "updated_at", "expected_version",
        )  # fmt: skip
        read_only_fields = ("id", "last_status", "last_changed_at", "version", "created_at", "updated_at")


@extend_schema(tags=["test-runs"])
class CanaryViewSet(ConfiguredViewSet):
    """Canaries: tests that are known not to pass; everybody reads them, editors change them."""

    queryset = Canary.objects.all()
    serializer_class = CanarySerializer
    filterset_fields: ClassVar[list[str]] = ["name", "suite", "expected_status"]

    def store(self, obj: Canary, *, version: int | None, **apart: Any) -> Canary:
        """Save a canary."""
        return canary_save(obj, actor=self.actor, now=clock.now(), version=version, **apart)
