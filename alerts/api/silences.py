"""Silences, recurring mute times and inhibitions, and what each covers."""

from dataclasses import asdict
from typing import Any, ClassVar

from django.db import transaction
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.permissions import ResponderGate
from aivillage_console.accounts.rest import ConsoleViewSet, NewestFirst, StrictSerializer
from aivillage_console.lib import clock
from aivillage_console.lib.problem import Conflict
from alerts.api.configured import ConfiguredViewSet
from alerts.engine.alertmanager.matching import BadMatcher
from alerts.models import Inhibition, MuteTime, Policy, Silence
from alerts.services import hiding, silencing
from alerts.services.configuration import Invalid, Outdated
from alerts.services.quiet_calendar import next_of
from alerts.services.quiet_rules import quiet_rule_change, quiet_rule_delete

MOST_OCCURRENCES = 100
VERSION_HELP = "The version you read; a newer one in store answers 409."


class SilenceSerializer(serializers.ModelSerializer[Silence]):
    """For some alerts nobody is told anything from one time to another."""

    text = serializers.SerializerMethodField(help_text="The matchers as people write them.")
    state = serializers.SerializerMethodField(help_text="pending, active or expired.")

    class Meta:
        model = Silence
        fields = (
            "id", "matchers", "text", "state", "starts_at", "ends_at", "author", "reason", "lets_critical_through",
            "handover_seconds", "matched_at", "version", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_text(self, row: Silence) -> str:
        """Write the matchers."""
        return silencing.matchers_text(row.matchers)

    def get_state(self, row: Silence) -> str:
        """Tell where it is in its life."""
        return silencing.state_of(row, clock.now())


class SilenceAskSerializer(StrictSerializer):
    """A silence as somebody asks for it."""

    matchers = serializers.CharField(
        max_length=silencing.LONGEST_MATCHERS, help_text='As text: alertname="DiskFull", host=~"db.*". All must hold.'
    )
    reason = serializers.CharField(max_length=silencing.LONGEST_REASON, help_text="Why, for those who wonder later.")
    ends_at = serializers.DateTimeField(help_text="Mandatory; at most SILENCE_LONGEST_SECONDS after the beginning.")
    starts_at = serializers.DateTimeField(required=False, help_text="Without it: now.")
    lets_critical_through = serializers.BooleanField(default=False)
    handover_seconds = serializers.IntegerField(
        required=False, min_value=0, max_value=silencing.DAY_SECONDS,
        help_text="How long before the end its author hears that alerts still fire; 0: never.",
    )  # fmt: skip


class SilenceChangeSerializer(SilenceAskSerializer):
    """A changed silence; other matchers end it and begin another."""

    expected_version = serializers.IntegerField(required=False, help_text=VERSION_HELP)


class SilenceUntilSerializer(StrictSerializer):
    """Until when a silence is to last."""

    ends_at = serializers.DateTimeField()
    expected_version = serializers.IntegerField(required=False, help_text=VERSION_HELP)


class SilenceEndSerializer(StrictSerializer):
    """Which version is ended."""

    expected_version = serializers.IntegerField(required=False, help_text=VERSION_HELP)


class CoverageAskSerializer(StrictSerializer):
    """Matchers that are looked at."""

    matchers = serializers.CharField(max_length=silencing.LONGEST_MATCHERS)
    lets_critical_through = serializers.BooleanField(default=False)


class CoverageSerializer(serializers.Serializer[Any]):
    """What matchers cover now, and what they would have kept from people in the last seven days."""

    covered = serializers.IntegerField(help_text="How many of the open alerts.")
    open = serializers.IntegerField()
    critical = serializers.IntegerField()
    alerts = serializers.ListField(child=serializers.IntegerField(), help_text="The numbers of the newest twenty.")
    messages = serializers.IntegerField(help_text="Told in seven days, which would not have been.")
    critical_messages = serializers.IntegerField()
    firings = serializers.IntegerField()
    bounded = serializers.BooleanField(help_text="Only the newest were looked at.")
    too_slow = serializers.BooleanField(help_text="The last seven days could not be counted within two seconds.")
    warnings = serializers.ListField(child=serializers.CharField())


class SilenceFilter(filters.FilterSet):  # type: ignore[misc] # django-filter has no types
    """Filters of the list of silences."""

    ends_after = filters.IsoDateTimeFilter(field_name="ends_at", lookup_expr="gt")
    starts_before = filters.IsoDateTimeFilter(field_name="starts_at", lookup_expr="lte")

    class Meta:
        model = Silence
        fields: ClassVar[list[str]] = ["author"]


@extend_schema(tags=["silences"])
class SilenceViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Silences: everybody reads them, responders make, change and end them."""

    queryset = Silence.objects.all()
    serializer_class = SilenceSerializer
    permission_classes = (ResponderGate,)
    pagination_class = NewestFirst
    filterset_class = SilenceFilter

    def _answer(self, service: Any, *args: Any, status: int = 200, **given: Any) -> Response:
        try:
            row = service(*args, actor=self.actor, now=clock.now(), **given)
        except Invalid as invalid:
            raise exceptions.ValidationError({name: [text] for name, text in invalid.problems.items()}) from invalid
        except Outdated as outdated:
            raise Conflict(self.get_serializer(outdated.fresh).data) from outdated
        return Response(SilenceSerializer(row).data, status=status)

    def _asked(self, shape: type[StrictSerializer]) -> dict[str, Any]:
        asked = shape(data=self.request.data)
        asked.is_valid(raise_exception=True)
        return dict(asked.validated_data)

    @extend_schema(request=SilenceAskSerializer, responses={201: SilenceSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Silence."""
        ask = silencing.Ask(**self._asked(SilenceAskSerializer))
        return self._answer(silencing.silence_make, ask, status=201)

    @extend_schema(request=SilenceChangeSerializer, responses=SilenceSerializer)
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change a silence as a whole; the answer is the one that holds from now on."""
        given = self._asked(SilenceChangeSerializer)
        version, row = given.pop("expected_version", None), self.get_object()
        ask = silencing.Ask(**given)
        return self._answer(silencing.silence_make, ask, silence_id=row.pk, version=version)

    @extend_schema(request=SilenceUntilSerializer, responses=SilenceSerializer)
    @action(detail=True, methods=["post"])
    def extend(self, request: Request, pk: str) -> Response:
        """Let it last until another time."""
        given = self._asked(SilenceUntilSerializer)
        version = given.get("expected_version")
        return self._answer(
            silencing.silence_until, self.get_object().pk, ends_at=given["ends_at"], version=version
        )  # fmt: skip

    @extend_schema(request=SilenceEndSerializer, responses=SilenceSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str) -> Response:
        """End it now; what still fires is told."""
        version = self._asked(SilenceEndSerializer).get("expected_version")
        return self._answer(silencing.silence_end, self.get_object().pk, version=version)

    @extend_schema(parameters=[CoverageAskSerializer], responses=CoverageSerializer)
    @action(detail=False, filterset_class=None, pagination_class=None)
    def preview(self, request: Request) -> Response:
        """Tell what matchers cover now and would have hidden in the last week."""
        asked = CoverageAskSerializer(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        try:
            matchers = silencing.matchers_read(given["matchers"])
        except BadMatcher as problem:
            raise exceptions.ValidationError({"matchers": [str(problem)]}) from problem
        found = hiding.covered_now(matchers)
        through = given["lets_critical_through"]
        before = hiding.would_have_hidden(matchers, now=clock.now(), lets_critical_through=through)
        warned = silencing.warnings_of(matchers, open_count=found.open_count, covered=found.count)
        return Response({
            "covered": found.count, "open": found.open_count, "critical": found.critical,
            "alerts": [alert.pk for alert in found.shown], "messages": before.messages,
            "critical_messages": before.critical_messages, "firings": before.firings,
            "bounded": found.bounded or before.bounded, "too_slow": before.too_slow, "warnings": warned,
        })  # fmt: skip


class MuteTimeSerializer(StrictSerializer, serializers.ModelSerializer[MuteTime]):
    """Recurring times in which nobody is told, or the only ones in which somebody is."""

    expected_version = serializers.IntegerField(write_only=True, required=False, help_text=VERSION_HELP)
    policies = serializers.PrimaryKeyRelatedField(
        queryset=Policy.objects.all(), many=True, required=False, help_text="Whose messages; empty: everybody's."
    )
    intervals = serializers.ListField(
        child=serializers.DictField(), min_length=1, max_length=100,
        help_text="Objects of times, weekdays, days_of_month, months, years and location, as Alertmanager has them.",
    )  # fmt: skip
    matchers = serializers.ListField(child=serializers.CharField(max_length=1000), required=False, max_length=50)

    class Meta:
        model = MuteTime
        fields = (
            "id", "name", "intervals", "matchers", "policies", "tells_inside", "enabled", "version", "created_at",
            "updated_at", "expected_version",
        )  # fmt: skip
        read_only_fields = ("id", "version", "created_at", "updated_at")


class OccurrenceSerializer(serializers.Serializer[Any]):
    """One stretch of time."""

    start_at = serializers.DateTimeField()
    end_at = serializers.DateTimeField()


class InhibitionSerializer(StrictSerializer, serializers.ModelSerializer[Inhibition]):
    """While an alert of the source side fires, those of the target side with equal labels are not told."""

    expected_version = serializers.IntegerField(write_only=True, required=False, help_text=VERSION_HELP)
    source_matchers = serializers.ListField(child=serializers.CharField(max_length=1000), required=False, max_length=50)
    target_matchers = serializers.ListField(child=serializers.CharField(max_length=1000), required=False, max_length=50)
    equal = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=20)

    class Meta:
        model = Inhibition
        fields = (
            "id", "name", "source_matchers", "target_matchers", "equal", "enabled", "version", "created_at",
            "updated_at", "expected_version",
        )  # fmt: skip
        read_only_fields = ("id", "version", "created_at", "updated_at")


class InhibitsSerializer(serializers.Serializer[Any]):
    """Which alerts are kept quiet now, each with the one that does it."""

    target = serializers.IntegerField()
    source = serializers.IntegerField()  # type: ignore[assignment] # the name of a field, not its source


class QuietRuleViewSet(ConfiguredViewSet):
    """What keeps quiet again and again."""

    filterset_fields: ClassVar[list[str]] = ["name", "enabled"]

    def store(self, obj: Any, *, version: int | None, **apart: Any) -> Any:
        """Save a mute time or an inhibition."""
        return quiet_rule_change(obj, actor=self.actor, now=clock.now(), version=version, **apart)

    @transaction.atomic
    def perform_destroy(self, instance: Any) -> None:
        """Delete it; what it keeps quiet is told within seconds."""
        quiet_rule_delete(instance, actor=self.actor, now=clock.now())


@extend_schema(tags=["silences"])
class MuteTimeViewSet(QuietRuleViewSet):
    """Recurring mute times; everybody reads them, editors write them."""

    queryset = MuteTime.objects.prefetch_related("policies")
    serializer_class = MuteTimeSerializer
    apart = ("policies",)

    @extend_schema(responses=OccurrenceSerializer(many=True))
    @action(detail=True, filterset_fields=None, pagination_class=None)
    def occurrences(self, request: Request, pk: str) -> Response:
        """List the next times it holds, the one that runs among them."""
        asked = request.query_params.get("limit", "10")
        limit = min(int(asked), MOST_OCCURRENCES) if asked.isdigit() and len(asked) < 4 else 10
        found = next_of(self.get_object(), clock.now(), limit)
        return Response([asdict(window) for window in found])


@extend_schema(tags=["silences"])
class InhibitionViewSet(QuietRuleViewSet):
    """Inhibitions; everybody reads them, editors write them."""

    queryset = Inhibition.objects.all()
    serializer_class = InhibitionSerializer

    @extend_schema(responses=InhibitsSerializer(many=True))
    @action(detail=True, filterset_fields=None, pagination_class=None)
    def inhibits(self, request: Request, pk: str) -> Response:
        """List the alerts it keeps quiet now, at most twenty, each with the one that does it."""
        pairs = hiding.inhibited_now(self.get_object())
        return Response([{"target": target.pk, "source": source.pk} for target, source in pairs])
