"""What the API shows and takes; secrets go in and never come out."""

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aivillage_console.accounts.models import User
from aivillage_console.accounts.rest import StrictSerializer
from aivillage_console.lib import clock
from alerts.engine.issues import MOST_ALLOWED
from alerts.engine.reasons import Why
from alerts.models import (
    Alert,
    AlertEvent,
    Channel,
    DeliveryAttempt,
    InboundHook,
    Notification,
    Policy,
    PolicyStep,
    RecordingBackfill,
    Rule,
    RuleGroup,
    WebhookIn,
)


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """An alert as it stands."""

    shown_state = serializers.CharField(read_only=True)
    modifiers = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="acknowledged, snoozed, flapping"
    )

    class Meta:
        model = Alert
        fields = (
            "id", "fingerprint", "episode", "name", "rule", "source", "state", "shown_state", "modifiers", "severity",
            "labels", "annotations", "generator_url", "value", "threshold", "started_at", "fired_at", "stale_since",
            "resolved_at", "resolved_cause", "resolved_because", "acked_at", "acked_by", "ack_reason", "ack_until",
            "assignee", "snoozed_until", "snoozed_by", "flapping_since", "flapping_until", "flaps", "evidence",
            "decisions", "last_pass", "version", "updated_at",
        )  # fmt: skip
        read_only_fields = fields


class AlertEventSerializer(serializers.ModelSerializer[AlertEvent]):
    """One change of an alert."""

    class Meta:
        model = AlertEvent
        fields = ("id", "alert", "episode", "at", "actor_kind", "actor", "kind", "reason", "data")
        read_only_fields = fields


class ActSerializer(StrictSerializer):
    """An action on an alert: the version that was seen, and why."""

    version = serializers.IntegerField(min_value=1)
    reason = serializers.CharField(max_length=4000, required=False, allow_blank=True, default="")


class AcknowledgeSerializer(ActSerializer):
    """Taking an alert on, and until when at most."""

    until = serializers.DateTimeField(required=False, allow_null=True, default=None, help_text="Empty: as is usual.")


class SnoozeSerializer(ActSerializer):
    """Until when nobody wants to hear of the alert: a time, or so many seconds from now."""

    until = serializers.DateTimeField(required=False)
    seconds = serializers.IntegerField(required=False, min_value=1, max_value=2_592_000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask for one of the two."""
        if ("until" in attrs) == ("seconds" in attrs):
            raise serializers.ValidationError({"until": "Give either until, a time, or seconds."})
        if "seconds" in attrs:
            attrs["until"] = clock.now() + timedelta(seconds=attrs.pop("seconds"))
        return attrs


class AssignSerializer(ActSerializer):
    """Who shall look after the alert; null for nobody."""

    assignee = serializers.PrimaryKeyRelatedField(queryset=User.objects.filter(disabled_at=None), allow_null=True)


class NoteSerializer(ActSerializer):
    """A note."""

    reason = serializers.CharField(max_length=4000)


class ThumbSerializer(ActSerializer):
    """Whether it was right to be told of an alert."""

    useful = serializers.BooleanField()


class MinuteSerializer(serializers.Serializer[Any]):
    """A minute that is asked about."""

    at = serializers.DateTimeField(required=False)


class DaysSerializer(serializers.Serializer[Any]):
    """How many days are asked about."""

    days = serializers.IntegerField(min_value=1, max_value=90, default=7)


class OwedMessageSerializer(serializers.Serializer[Any]):
    """A message that became owed."""

    channel = serializers.CharField()
    kind = serializers.CharField()
    step = serializers.IntegerField()
    at = serializers.DateTimeField()
    state = serializers.CharField()
    withheld = serializers.CharField(help_text="The one reason for which it is not sent; empty where it is.")
    because = serializers.CharField()


class ExplainedSerializer(serializers.Serializer[Any]):
    """Why somebody, or nobody, was told of an alert in a minute."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    told = serializers.BooleanField()
    why = serializers.ChoiceField(choices=[each.value for each in Why])
    sentence = serializers.CharField()
    gates = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))
    passed_at = serializers.DateTimeField(allow_null=True)
    rule_version = serializers.IntegerField(allow_null=True)
    policy = serializers.DictField(allow_null=True)
    messages = OwedMessageSerializer(many=True)


class ResponseTimesSerializer(serializers.Serializer[Any]):
    """How soon alerts were taken on and ended."""

    days = serializers.IntegerField()
    target_seconds = serializers.IntegerField()
    episodes = serializers.IntegerField()
    acknowledged = serializers.IntegerField()
    mean_to_acknowledge_seconds = serializers.FloatField(allow_null=True)
    median_to_acknowledge_seconds = serializers.FloatField(allow_null=True)
    within_target = serializers.IntegerField()
    within_target_share = serializers.FloatField(allow_null=True)
    ended = serializers.IntegerField()
    mean_to_resolve_seconds = serializers.FloatField(allow_null=True)
    median_to_resolve_seconds = serializers.FloatField(allow_null=True)


class AttemptSerializer(serializers.ModelSerializer[DeliveryAttempt]):
    """One try to deliver."""

    class Meta:
        model = DeliveryAttempt
        fields = ("id", "notification", "at", "outcome", "status", "duration_ms", "hand")
        read_only_fields = fields


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    """One message owed to a channel."""

    class Meta:
        model = Notification
        fields = (
            "id", "key", "alert", "episode", "step", "channel", "channel_name", "kind", "state", "urgent", "attempts",
            "last_error", "due_at", "created_at", "deadline_at", "sent_at", "finished_at", "withheld",
            "cancelled_because",
        )  # fmt: skip
        read_only_fields = fields


class _Configured(StrictSerializer, serializers.ModelSerializer[Any]):
    """A thing people configure; full validation happens in its service."""

    expected_version = serializers.IntegerField(
        write_only=True, required=False, help_text="The version you read; a newer one in store answers 409."
    )

    class Meta:
        abstract = True


class NoiseSerializer(serializers.Serializer[Any]):
    """How much noise a rule made in seven days."""

    firings = serializers.IntegerField()
    ended = serializers.IntegerField()
    self_resolved = serializers.IntegerField(help_text="Episodes that ended and that nobody touched.")
    acknowledged = serializers.IntegerField()
    idle = serializers.IntegerField(help_text="Acknowledged ones in which nobody did anything else.")
    pages = serializers.IntegerField(help_text="Steps of policies that were told, to however many channels.")
    night_pages = serializers.IntegerField()
    why_noisy = serializers.CharField(help_text="Empty where the rule is not called noisy.")
    bars = serializers.ListField(child=serializers.IntegerField(), help_text="Firings in each six hours.")


class RuleGroupSerializer(StrictSerializer, serializers.ModelSerializer[RuleGroup]):
    """A rule group."""

    class Meta:
        model = RuleGroup
        fields = (
            "id", "name", "interval_seconds", "limit", "query_offset_seconds", "labels", "enabled", "file",
            "last_evaluated_at", "evaluation_seconds", "missed",
            "created_at",
        )  # fmt: skip
        read_only_fields = ("id", "file", "last_evaluated_at", "evaluation_seconds", "missed", "created_at")


class RuleSerializer(_Configured):
    """A rule."""

    class Meta:
        model = Rule
        fields = (
            "id", "group", "position", "kind", "name", "alert_name", "description", "spec", "severity", "labels",
            "annotations", "for_seconds", "keep_firing_for_seconds", "window_seconds", "cooldown_seconds", "enabled",
            "health",
            "last_evaluated_at", "last_error", "evaluation_seconds", "version", "created_at", "updated_at",
            "expected_version",
        )  # fmt: skip
        read_only_fields = (
            "id", "health", "last_evaluated_at", "last_error", "evaluation_seconds", "version", "created_at",
            "updated_at",
        )  # fmt: skip


class BackfillSerializer(serializers.ModelSerializer[RecordingBackfill]):
    """A recording rule being computed over the past, and how far that is."""

    end_at = serializers.DateTimeField(read_only=True)
    progress = serializers.FloatField(read_only=True, help_text="0 to 1.")

    class Meta:
        model = RecordingBackfill
        fields = (
            "id", "rule", "spec", "labels", "start_at", "end_at", "step_seconds", "steps", "steps_done", "progress",
            "samples", "state", "last_error", "created_by", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class BackfillOrderSerializer(StrictSerializer):
    """What is to be computed: both ends included, on the grid of the group or of a step of its own."""

    start_at = serializers.DateTimeField()
    end_at = serializers.DateTimeField()
    step_seconds = serializers.IntegerField(min_value=1, max_value=86_400, required=False)


class ChannelSerializer(_Configured):
    """A channel; the secret can be set, and only its last four characters are shown."""

    secret = serializers.CharField(
        write_only=True, required=False, allow_blank=True, max_length=500, help_text="Empty removes it."
    )
    secret_hint = serializers.CharField(read_only=True)

    class Meta:
        model = Channel
        fields = (
            "id", "name", "type", "config", "filters", "enabled", "is_fallback", "disabled_because", "rate_per_minute",
            "breaker_state", "breaker_until", "secret", "secret_hint", "version", "created_at", "updated_at",
            "expected_version",
        )  # fmt: skip
        read_only_fields = (
            "id", "disabled_because", "breaker_state", "breaker_until", "version", "created_at", "updated_at",
        )  # fmt: skip


class InboundHookSerializer(_Configured):
    """An address receivers call; the secret can be set, and only its last four characters are shown."""

    secret = serializers.CharField(
        write_only=True, required=False, allow_blank=True, max_length=500,
        help_text="The same as at the sender, at least 16 characters. Empty removes it: the address then answers 404.",
    )  # fmt: skip
    secret_hint = serializers.CharField(read_only=True)
    url = serializers.CharField(read_only=True, help_text="What to enter at the sender.")
    allowed_users = serializers.ListField(
        child=serializers.CharField(max_length=400), required=False, max_length=MOST_ALLOWED,
        help_text='Whose comments are obeyed: "octocat", or "octocat=alice@example.org" who then can be assigned.',
    )  # fmt: skip

    class Meta:
        model = InboundHook
        fields = (
            "id", "name", "type", "channel", "login", "allowed_users", "enabled", "secret", "secret_hint", "url",
            "version", "created_at", "updated_at", "expected_version",
        )  # fmt: skip
        read_only_fields = ("id", "version", "created_at", "updated_at")


class WebhookInSerializer(serializers.ModelSerializer[WebhookIn]):
    """A message that came in, and what came of it."""

    class Meta:
        model = WebhookIn
        fields = (
            "id", "hook", "delivery_id", "event", "state", "received_at", "processed_at", "attempts", "outcome",
            "last_error",
        )  # fmt: skip
        read_only_fields = fields


class PolicyStepSerializer(StrictSerializer, serializers.ModelSerializer[PolicyStep]):
    """One step of a policy."""

    class Meta:
        model = PolicyStep
        fields = ("delay_seconds", "channels", "recipients")


class PolicySerializer(_Configured):
    """A policy with its steps; steps that are given replace all earlier ones."""

    steps = PolicyStepSerializer(many=True, required=False)

    class Meta:
        model = Policy
        fields = (
            "id", "name", "position", "triggers", "enabled", "is_default", "steps", "version", "created_at",
            "updated_at", "expected_version",
        )  # fmt: skip
        read_only_fields = ("id", "version", "created_at", "updated_at")


@extend_schema_field(AlertSerializer)
class FreshField(serializers.JSONField):
    """An alert as it stands now."""


class StaleSerializer(serializers.Serializer[Any]):
    """The answer to an action on a version that is gone."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    fresh = FreshField()
