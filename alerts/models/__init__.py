"""Tables of the alerts app."""

from alerts.models.alerts import Alert, AlertEvent, Heartbeat, Link
from alerts.models.backtests import BacktestRun, RuleSuggestion
from alerts.models.channels import Channel, Policy, PolicyStep
from alerts.models.configuration import AlertSettings, ConfigurationBase
from alerts.models.delivery import DeliveryAttempt, Escalation, Notification, NotificationHistory
from alerts.models.heartbeats import CronJob, Ping
from alerts.models.inbound import InboundHook, IssuePoll, WebhookIn
from alerts.models.incidents import CorrelationRule, Incident, IncidentEvent, IncidentMember
from alerts.models.integrations import ChangeEvent, InboundKey, InboundMessage, Integration
from alerts.models.quieting import Inhibition, MuteTime, Quieted, Silence
from alerts.models.recording import RecordedSeries, RecordingBackfill
from alerts.models.rules import Rule, RuleGroup, RuleKind, RuleState
from alerts.models.testruns import Canary, TestRun, TestSuite
from alerts.models.thresholds import DynamicThreshold, ThresholdHistory

__all__ = [
    "Alert",
    "AlertEvent",
    "AlertSettings",
    "BacktestRun",
    "Canary",
    "ChangeEvent",
    "Channel",
    "ConfigurationBase",
    "CorrelationRule",
    "CronJob",
    "DeliveryAttempt",
    "DynamicThreshold",
    "Escalation",
    "Heartbeat",
    "InboundHook",
    "InboundKey",
    "InboundMessage",
    "Incident",
    "IncidentEvent",
    "IncidentMember",
    "Inhibition",
    "Integration",
    "IssuePoll",
    "Link",
    "MuteTime",
    "Notification",
    "NotificationHistory",
    "Ping",
    "Policy",
    "PolicyStep",
    "Quieted",
    "RecordedSeries",
    "RecordingBackfill",
    "Rule",
    "RuleGroup",
    "RuleKind",
    "RuleState",
    "RuleSuggestion",
    "Silence",
    "TestRun",
    "TestSuite",
    "ThresholdHistory",
    "WebhookIn",
]
