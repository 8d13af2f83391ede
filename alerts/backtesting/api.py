"""Backtests: a rule, or the draft of one, tried on the past."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.permissions import EditorGate
from aivillage_console.accounts.rest import ConsoleViewSet, NewestFirst, StrictSerializer
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.api.serializers import RuleSerializer
from alerts.models import BacktestRun, Rule, RuleSuggestion
from alerts.services import configuration
from alerts.services.backtests import backtest_cancel, backtest_now, backtest_order
from alerts.services.suggestions import USUAL_DAYS as USUAL_SUGGESTED_DAYS
from alerts.services.suggestions import suggestions_of

USUAL_DAYS, MOST_DAYS = 7, 400
# How long an order waits for the end before it says where to look for it.
WAIT_SECONDS = 5.0
SUGGEST_SECONDS = 12.0


class BacktestSerializer(serializers.ModelSerializer[BacktestRun]):
    """A backtest: how far it is, and once it is done its totals and firings."""

    class Meta:
        model = BacktestRun
        fields = (
            "id", "rule", "name", "start_at", "end_at", "quieting", "zone", "state", "progress", "result", "last_error",
            "created_by", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class BacktestRowSerializer(BacktestSerializer):
    """A backtest in a list, without its result."""

    class Meta(BacktestSerializer.Meta):
        fields = tuple(name for name in BacktestSerializer.Meta.fields if name != "result")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class BacktestOrderSerializer(StrictSerializer):
    """On which past a rule is tried: the last days, or from one time to another."""

    days = serializers.FloatField(
        required=False, min_value=0.01, max_value=MOST_DAYS, help_text=f"Up to now; {USUAL_DAYS} if nothing is said."
    )
    start_at = serializers.DateTimeField(required=False)
    end_at = serializers.DateTimeField(required=False, help_text="Now, if nothing is said.")
    quieting = serializers.ChoiceField(
        choices=list(BacktestRun._meta.get_field("quieting").choices or []), default="then",
        help_text="Silences as they were, as they are now, or nothing that keeps quiet at all.",
    )  # fmt: skip
    zone = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=64, help_text="Whose nights are counted, 22 to 7."
    )
    wait = serializers.BooleanField(
        default=True, help_text=f"Whether the answer may take up to {WAIT_SECONDS:g} s, to hold the result."
    )


class DraftRuleSerializer(RuleSerializer):
    """A rule that need not be stored; it may have the name of one that is."""

    class Meta(RuleSerializer.Meta):
        extra_kwargs: ClassVar[dict[str, Any]] = {"name": {"validators": []}}


class DraftOrderSerializer(BacktestOrderSerializer):
    """A draft, and on which past it is tried."""

    rule = DraftRuleSerializer(help_text="As it would be stored; its group says how often it is evaluated.")


class SuggestionsSerializer(serializers.ModelSerializer[RuleSuggestion]):
    """What would make a rule quieter, and what was tried."""

    class Meta:
        model = RuleSuggestion
        fields = ("rule", "rule_version", "days", "at", "result")
        read_only_fields = fields


class SuggestionsOrderSerializer(StrictSerializer):
    """Over how many days changes are tried."""

    days = serializers.IntegerField(default=USUAL_SUGGESTED_DAYS, min_value=1, max_value=90)


class TriedRuleMixin:
    """What is asked of a stored rule about its past."""

    @extend_schema(request=BacktestOrderSerializer, responses={200: BacktestSerializer, 202: BacktestSerializer})
    @action(detail=True, methods=["post"])
    def backtest(self: Any, request: Request, pk: str) -> Response:
        """Try a rule on the past."""
        asked = BacktestOrderSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return answered(ordered(self.get_object(), asked.validated_data, self.actor))

    @extend_schema(request=SuggestionsOrderSerializer, responses=SuggestionsSerializer)
    @action(detail=True, methods=["post"])
    def suggest(self: Any, request: Request, pk: str) -> Response:
        """Try other timers and thresholds on the past, for some seconds, and keep what would make a rule quieter."""
        asked = SuggestionsOrderSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        row = suggestions_of(
            self.get_object(),
            now=clock.now(),
            days=asked.validated_data["days"],
            most_seconds=SUGGEST_SECONDS,
            actor=self.actor,
        )
        return Response(SuggestionsSerializer(row).data)


def ordered(rule: Rule, asked: Mapping[str, Any], actor: Actor) -> BacktestRun:
    """Order a backtest, and work on it while the caller waits; raises ValidationError."""
    now = clock.now()
    start_at, end_at = _range(asked, now)
    try:
        row = backtest_order(
            rule, start_at=start_at, end_at=end_at, quieting=asked["quieting"], zone=asked["zone"], actor=actor, now=now
        )
    except configuration.Invalid as invalid:
        raise exceptions.ValidationError({name: [text] for name, text in invalid.problems.items()}) from invalid
    return backtest_now(row, seconds=WAIT_SECONDS) if asked["wait"] else row


def _range(asked: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime]:
    end_at = asked.get("end_at") or now
    start_at = asked.get("start_at") or end_at - timedelta(days=asked.get("days") or USUAL_DAYS)
    return start_at, end_at


def answered(row: BacktestRun) -> Response:
    """Return a backtest; 202 says that it is still being worked on."""
    return Response(BacktestSerializer(row).data, status=202 if row.state == "due" else 200)


@extend_schema(tags=["rules"])
class BacktestViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Backtests, newest first; they are kept for a week."""

    queryset = BacktestRun.objects.all()
    serializer_class = BacktestSerializer
    permission_classes = (EditorGate,)
    pagination_class = NewestFirst
    filterset_fields: ClassVar[list[str]] = ["rule", "state"]

    def get_serializer_class(self) -> type[BacktestSerializer]:
        """Leave results out of lists."""
        return BacktestRowSerializer if self.action == "list" else BacktestSerializer

    @extend_schema(request=DraftOrderSerializer, responses={200: BacktestSerializer, 202: BacktestSerializer})
    def create(self, request: Request) -> Response:
        """Try the draft of a rule on the past; nothing of it is stored but the backtest."""
        asked = DraftOrderSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        draft = dict(asked.validated_data["rule"])
        draft.pop("expected_version", None)
        return answered(ordered(Rule(**draft), asked.validated_data, self.actor))

    @extend_schema(request=None, responses=BacktestSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop a backtest."""
        row = backtest_cancel(self.get_object(), actor=self.actor, now=clock.now())
        return Response(BacktestSerializer(row).data)
