"""Jobs that report in, over REST."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.models import Role, Scope
from aivillage_console.accounts.rest import Pages, StrictSerializer
from aivillage_console.lib import clock
from aivillage_console.lib.problem import Conflict
from alerts.api.configured import ConfiguredViewSet
from alerts.heartbeats.pages import address_of, rows_of
from alerts.models import CronJob, Ping
from alerts.services import configuration
from alerts.services.heartbeats import job_pause, job_rotate, job_save


class JobStandingSerializer(serializers.Serializer[Any]):
    """How a job stands; times are epoch seconds."""

    state = serializers.CharField(help_text="new, up, late, down or paused.")
    since = serializers.FloatField(allow_null=True)
    because = serializers.CharField(help_text="missed, failed or overrun, where it is down.", allow_blank=True)
    expected_at = serializers.FloatField(allow_null=True)
    down_at = serializers.FloatField(allow_null=True, help_text="When it is down unless it reports.")
    running_since = serializers.FloatField(allow_null=True)


class CronJobSerializer(StrictSerializer, serializers.ModelSerializer[CronJob]):
    """A job that is expected to report; its key is shown once, when it is made."""

    expected_version = serializers.IntegerField(
        write_only=True, required=False, help_text="The version you read; a newer one in store answers 409."
    )
    address = serializers.SerializerMethodField(help_text="What the job calls, with the end of its key.")
    standing = serializers.SerializerMethodField()

    class Meta:
        model = CronJob
        fields = (
            "id", "name", "description", "period_seconds", "cron", "time_zone", "grace_seconds", "longest_run_seconds",
            "severity", "labels", "address", "key_hint", "standing", "pings", "last_at", "version", "created_at",
            "updated_at", "expected_version",
        )  # fmt: skip
        read_only_fields = ("id", "key_hint", "pings", "last_at", "version", "created_at", "updated_at")

    def get_address(self, job: CronJob) -> str:
        """Return its address without the key."""
        return address_of(job)

    @extend_schema_field(JobStandingSerializer)
    def get_standing(self, job: CronJob) -> dict[str, Any]:
        """Return how it stands now."""
        found = rows_of([job], clock.now())[0].standing
        return {
            "state": found.state.value, "since": found.since, "because": found.because.value if found.because else "",
            "expected_at": found.expected_at, "down_at": found.down_at, "running_since": found.running_since,
        }  # fmt: skip


class CronJobKeySerializer(serializers.Serializer[Any]):
    """A key and the address it is part of, shown this once."""

    key = serializers.CharField()
    address = serializers.CharField()


class CronJobMadeSerializer(CronJobSerializer):
    """A new job with its key."""

    key = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(CronJobSerializer.Meta):
        fields = (*CronJobSerializer.Meta.fields, "key")  # type: ignore[assignment]


class PingSerializer(serializers.ModelSerializer[Ping]):
    """One report, with the beginning of what was sent."""

    output = serializers.SerializerMethodField()

    class Meta:
        model = Ping
        fields = (
            "id", "number", "at", "kind", "exit_status", "run_id", "duration_ms", "method", "ip", "agent", "output",
        )  # fmt: skip
        read_only_fields = fields

    def get_output(self, ping: Ping) -> str:
        """Return what was sent as text."""
        return bytes(ping.body).decode("utf-8", "replace").replace("\0", "")


@extend_schema(tags=["heartbeats"])
class CronJobViewSet(ConfiguredViewSet):
    """Jobs that report in; everybody reads them, editors change them, responders pause them."""

    queryset = CronJob.objects.all()
    serializer_class = CronJobSerializer
    filterset_fields: ClassVar[list[str]] = ["name", "severity"]
    action_gates: ClassVar[dict[str, tuple[str, str]]] = {
        "pause": (Role.RESPONDER, Scope.RESPOND), "resume": (Role.RESPONDER, Scope.RESPOND),
    }  # fmt: skip

    def store(self, obj: CronJob, *, version: int | None, **apart: Any) -> CronJob:
        """Save a job."""
        return job_save(obj, actor=self.actor, now=clock.now(), version=version, **apart).job

    @extend_schema(responses={201: CronJobMadeSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make a job; the answer holds its key, this once."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        given.pop("expected_version", None)
        try:
            made = job_save(CronJob(**given), actor=self.actor, now=clock.now())
        except configuration.Invalid as invalid:
            raise exceptions.ValidationError({name: [text] for name, text in invalid.problems.items()}) from invalid
        except configuration.Outdated as outdated:
            raise Conflict(self.get_serializer(outdated.fresh).data) from outdated
        shown = {**self.get_serializer(made.job).data, "address": address_of(made.job, made.key)}
        return Response({**shown, "key": made.key}, status=201)

    @extend_schema(request=None, responses=CronJobKeySerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Give it a new key, shown this once; the old one ends at once."""
        made = job_rotate(self.get_object(), actor=self.actor, now=clock.now())
        return Response({"key": made.key, "address": address_of(made.job, made.key)})

    @extend_schema(request=None, responses=CronJobSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Pause it: it is not expected until it is resumed."""
        job = job_pause(self.get_object(), actor=self.actor, now=clock.now(), paused=True)
        return Response(self.get_serializer(job).data)

    @extend_schema(request=None, responses=CronJobSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Have it watched again; its time begins anew."""
        job = job_pause(self.get_object(), actor=self.actor, now=clock.now(), paused=False)
        return Response(self.get_serializer(job).data)

    @extend_schema(responses=PingSerializer(many=True))
    @action(detail=True, filterset_fields=None, pagination_class=Pages)
    def pings(self, request: Request, pk: str) -> Response:
        """List what it told, newest first."""
        rows = self.paginate_queryset(self.get_object().history.order_by("-id"))
        return self.get_paginated_response(PingSerializer(rows, many=True).data)
