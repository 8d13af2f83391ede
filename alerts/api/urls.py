"""Routes of the alerts part of the REST API."""

from rest_framework.routers import SimpleRouter

from alerts.api.alerts import AlertViewSet, NotificationViewSet
from alerts.api.configured import (
    BackfillViewSet,
    ChannelViewSet,
    InboundHookViewSet,
    PolicyViewSet,
    RuleGroupViewSet,
    RuleViewSet,
)
from alerts.api.heartbeats import CronJobViewSet
from alerts.api.incidents import CorrelationRuleViewSet, IncidentViewSet
from alerts.api.integrations import ChangeEventViewSet, IntegrationViewSet
from alerts.api.silences import InhibitionViewSet, MuteTimeViewSet, SilenceViewSet
from alerts.api.testruns import CanaryViewSet, TestRunViewSet
from alerts.as_code.api import ConfigurationViewSet
from alerts.backtesting.api import BacktestViewSet
from alerts.thresholds.api import ThresholdViewSet

router = SimpleRouter()
router.register("alerts", AlertViewSet, basename="api-alert")
router.register("notifications", NotificationViewSet, basename="api-notification")
router.register("rules", RuleViewSet, basename="api-rule")
router.register("rule-groups", RuleGroupViewSet, basename="api-rule-group")
router.register("backfills", BackfillViewSet, basename="api-backfill")
router.register("backtests", BacktestViewSet, basename="api-backtest")
router.register("thresholds", ThresholdViewSet, basename="api-threshold")
router.register("channels", ChannelViewSet, basename="api-channel")
router.register("hooks", InboundHookViewSet, basename="api-hook")
router.register("integrations", IntegrationViewSet, basename="api-integration")
router.register("incidents", IncidentViewSet, basename="api-incident")
router.register("correlation-rules", CorrelationRuleViewSet, basename="api-correlation-rule")
router.register("changes", ChangeEventViewSet, basename="api-change")
router.register("cron-jobs", CronJobViewSet, basename="api-cron-job")
router.register("test-runs", TestRunViewSet, basename="api-test-run")
router.register("canaries", CanaryViewSet, basename="api-canary")
router.register("configuration", ConfigurationViewSet, basename="api-configuration")
router.register("policies", PolicyViewSet, basename="api-policy")
router.register("silences", SilenceViewSet, basename="api-silence")
router.register("mute-times", MuteTimeViewSet, basename="api-mute-time")
router.register("inhibitions", InhibitionViewSet, basename="api-inhibition")

urlpatterns = router.urls
