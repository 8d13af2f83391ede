"""One object of each kind, so that a 404 cannot stand for a refusal."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.admin import site
from django.db.models import Model

from aivillage_console.accounts import services
from aivillage_console.accounts.models import ApiToken, AuditEntry, Source, Team, User
from aivillage_console.lib import clock
from alerts.models import (
    Alert,
    AlertEvent,
    BacktestRun,
    ChangeEvent,
    Channel,
    DeliveryAttempt,
    InboundHook,
    InboundKey,
    InboundMessage,
    Inhibition,
    Integration,
    Link,
    MuteTime,
    Notification,
    Policy,
    RecordingBackfill,
    Rule,
    RuleGroup,
    Silence,
    ThresholdHistory,
    WebhookIn,
)
from forge_dashboard.models import Artifact, Checkpoint, GateResult, PhaseRun, PipelineEvent, Run
from health.models import Check, Component
from metrics.models import Metric, RemoteTarget, ScrapePool, ScrapeTarget
from security.models import AllowEntry, Block, DetectorPulse, EnforcerPull, Finding, SecurityEvent
from tests.permissions import reports
from tests.permissions.incidents import Incidents, correlation_rule, incidents_of

SYSTEM = services.Actor.system("test")
HOOK = {"url": "https://93.184.216.34/hook"}
SOON = (datetime.now(UTC) + timedelta(days=2)).isoformat()
SILENCE = {"matchers": 'a="b"', "reason": "new disks", "ends_at": SOON}


@dataclass(frozen=True)
class Objects:
    """One of each; `group` holds no rule and `channel` is in no policy, so that they can be deleted."""

    rule: Rule
    backfill: RecordingBackfill
    group: RuleGroup
    channel: Channel
    policy: Policy
    hook: InboundHook
    integration: Integration
    change: ChangeEvent
    alert: Alert
    notification: Notification
    token: ApiToken
    source: Source
    user: User
    team: Team
    entry: AuditEntry
    check: Check
    event: SecurityEvent
    finding: Finding
    block: Block
    allowed: AllowEntry
    run: Run
    pool: ScrapePool
    target: ScrapeTarget
    remote: RemoteTarget

    @property
    def incidents(self) -> Incidents:
        """Return the incidents there are, or make them: nobody else speaks of any."""
        return incidents_of(self.alert)

    @property
    def past(self) -> Rule:
        """Return a recording rule that nobody computes over the past."""
        return Rule.objects.get(name="free")

    @property
    def backtest(self) -> BacktestRun:
        """Return the backtest there is, or make it."""
        now = clock.now()
        span = {"start_at": now - timedelta(days=1), "end_at": now, "created_at": now, "due_at": now, "state": "due"}
        return BacktestRun.objects.first() or BacktestRun.objects.create(rule=self.rule, name="Hot", **span)

    @property
    def silence(self) -> Silence:
        """Return the silence there is, or make it: nobody else speaks of one."""
        facts = {"starts_at": clock.now(), "ends_at": clock.now() + timedelta(hours=1), "author": "ada", "reason": "x"}
        held = [{"name": "a", "value": "b", "isRegex": False, "isEqual": True}]
        return Silence.objects.first() or Silence.objects.create(matchers=held, **facts)

    @property
    def mute_time(self) -> MuteTime:
        """Return the mute time there is, or make it."""
        nights = [{"times": [{"start_time": "00:00", "end_time": "06:00"}]}]
        return MuteTime.objects.first() or MuteTime.objects.create(name="nights", intervals=nights)

    @property
    def inhibition(self) -> Inhibition:
        """Return the inhibition there is, or make it."""
        held = {"source_matchers": ["a=b"], "target_matchers": ["a=c"]}
        return Inhibition.objects.first() or Inhibition.objects.create(name="node down", **held)

    @property
    def threshold(self) -> ThresholdHistory:
        """Return the threshold there is, or make it."""
        series = {"series": "f" * 64, "at": datetime.now(UTC), "value": 1.0}
        return ThresholdHistory.objects.first() or ThresholdHistory.objects.create(rule=self.rule, **series)

    def of(self, path: str) -> Any:
        """Return the id of the object that this path speaks of."""
        nouns = {
            **reports.nouns(),
            "/v2/alerts/": self.integration, "/integrations/": self.integration, "/changes/": self.change,
            "/incidents/": self.incidents.incident, "/correlation-rules/": correlation_rule(),
            "/backfill/": self.past, "/backfills/": self.backfill,
            "/mute-times/": self.mute_time, "/inhibitions/": self.inhibition, "/silences/": self.silence,
            "/silence/": self.silence,
            "/thresholds/": self.threshold, "/backtests/": self.backtest,
            "/rules/groups/": self.group, "/rules/": self.rule, "/rule-groups/": self.group,
            "/channels/": self.channel, "/setup/test/": self.channel,
            "/policies/": self.policy, "/components/": self.check.component, "/checks/": self.check,
            "/health/": self.check.component, "/notifications/": self.notification, "/messages/": self.notification,
            "/hooks/": self.hook, "/alerts/": self.alert, "/tokens/": self.token, "/sources/": self.source,
            "/users/": self.user, "/audit/": self.entry, "/security-events/": self.event,
            "/security/events/": self.event, "/findings/": self.finding, "/blocks/": self.block,
            "/remote-targets/": self.remote, "/scrape-pools/": self.pool, "/scrape-targets/": self.target,
            "/allow-list/": self.allowed, "/allowed/": self.allowed, "/runs/": self.run,
        }  # fmt: skip
        return next(obj.pk for noun, obj in nouns.items() if noun in path)

    def path(self, route: str) -> str:
        """Return the route with the ids filled in; what names no object stays a plain word."""
        route = route.replace("<slug:action>", "acknowledge").replace("<slug:kind>", "metrics")
        route = re.sub(r"<(?:pk|int:\w+|uuid:\w+)>", lambda _: str(self.of(route)), route)
        return re.sub(r"<\w+:\w+>", "nothing", route)


def one_of_each() -> Objects:
    """Make them; the token has the one right that every caller who may rotate it has."""
    now = clock.now()
    rule = Rule.objects.create(
        group=RuleGroup.objects.create(name="of the rule", due_at=now), name="Hot", spec={"expr": "up == 0"}
    )
    channel = Channel.objects.create(name="hook", config=HOOK)
    alert = Alert.objects.create(
        fingerprint="e" * 64, name="Hot", rule=rule, state="firing", severity="high", started_at=now, updated_at=now
    )
    AlertEvent.objects.create(alert=alert, episode=1, at=now, kind="fired")
    notification = Notification.objects.create(
        key="k" * 32, alert=alert, channel=channel, channel_name="hook", kind="fire", state="failed", created_at=now,
        due_at=now, deadline_at=now + timedelta(minutes=5), finished_at=now,
    )  # fmt: skip
    DeliveryAttempt.objects.create(notification=notification, channel=channel, at=now, outcome="refused")
    source, user = services.source_named("api"), User.objects.create_user("bob@example.org", None)
    Metric.objects.create(name="up")
    pool = ScrapePool.objects.create(name="node")
    services.audit(SYSTEM, "test.begin", user, now=now)
    event, finding, block, allowed = _of_security(source, now)
    return Objects(
        event=event, finding=finding, block=block, allowed=allowed, rule=rule,
        backfill=_of_recording(rule, now), group=RuleGroup.objects.create(name="empty", due_at=now), channel=channel,
        policy=Policy.objects.create(name="night"), hook=hook_of(channel), alert=alert,
        integration=_integration_of(alert, now), change=_change_of(now), notification=notification,
        token=services.token_issue(name="ci", kind="service", scopes=["admin"], actor=SYSTEM, now=now)[0],
        source=source, user=user, team=Team.objects.create(name="night shift"), entry=AuditEntry.objects.all()[0],
        check=_of_health(now), run=_of_forge(source, now), pool=pool,
        target=ScrapeTarget.objects.create(pool=pool, key="k", scrape_url="http://h/metrics"),
        remote=RemoteTarget.objects.create(name="store", config={"url": "https://store.example.org/api/v1/write"}),
    )  # fmt: skip


def _of_recording(rule: Rule, now: datetime) -> RecordingBackfill:
    spec = {"record": "up:sum", "expr": "sum(up)"}
    facts = {"group": rule.group, "kind": "recording", "spec": spec}
    busy, _ = (Rule.objects.create(name=name, **facts) for name in ("busy", "free"))
    return RecordingBackfill.objects.create(
        rule=busy, spec=spec, start_at=now, step_seconds=60, steps=1, created_at=now, due_at=now
    )


def _of_security(source: Source, now: datetime) -> tuple[SecurityEvent, Finding, Block, AllowEntry]:
    event = SecurityEvent.objects.create(
        source=source, at=now, received_at=now, due_at=now, detected_at=now, event_type="auth_failure",
        signal="failure", source_ip="192.0.2.7", threat_score=1.0, band="critical",
    )  # fmt: skip
    finding = Finding.objects.create(
        event=event, detector="brute_force", score=1.0, band="critical", at=now, found_at=now, event_type="auth_failure"
    )
    block = Block.objects.create(
        scope="ip", value="192.0.2.7", reason="brute force", created_by="test", created_at=now, changed_at=now,
        expires_at=now + timedelta(hours=4), finding=finding,
    )  # fmt: skip
    allowed = AllowEntry.objects.create(
        scope="cidr", value="198.51.100.0/24", reason="office", created_by="test", created_at=now
    )
    DetectorPulse.objects.create(name="detect", at=now, hand="celery")
    EnforcerPull.objects.create(name="edge-1", version=1, etag="e", first_at=now, pulled_at=now)
    return event, finding, block, allowed


def hook_of(channel: Channel) -> InboundHook:
    """Return a webhook that has been called."""
    hook, now = InboundHook.objects.create(name="gh"), clock.now()
    Link.objects.create(alert=Alert.objects.all()[0], channel=channel, external_id="octocat/hello#1")
    WebhookIn.objects.create(hook=hook, delivery_id="1", event="ping", received_at=now, due_at=now, state="done")
    return hook


def _integration_of(alert: Alert, now: datetime) -> Integration:
    integration = Integration.objects.create(name="ci", tool="generic", token_sha256="0" * 64, token_hint="abcd")
    InboundMessage.objects.create(integration=integration, received_at=now, due_at=now, state="done")
    InboundKey.objects.create(integration=integration, key="k", alert=alert)
    return integration


def _change_of(now: datetime) -> ChangeEvent:
    return ChangeEvent.objects.create(key="k", kind="deploy", name="shop", at=now, received_at=now)


def _of_forge(source: Source, now: datetime) -> Run:
    run = Run.objects.create(source=source, external_id="r", state="running", created_at=now, last_event_at=now)
    PhaseRun.objects.create(run=run, phase="adas")
    PipelineEvent.objects.create(run=run, event_id="1", at=now, received_at=now, kind="run")
    Artifact.objects.create(run=run, name="a", at=now, event_id="1")
    Checkpoint.objects.create(run=run, name="c", at=now, event_id="1")
    GateResult.objects.create(run=run, gate="g", display="g", state="passed", at=now, event_id="1")
    return run


def _of_health(now: datetime) -> Check:
    config = {"name": "console.memory"}
    component = Component.objects.create(name="api")
    return Check.objects.create(component=component, name="memory", kind="callable", config=config, due_at=now)


def bodies(made: Objects) -> dict[str, dict[str, Any]]:
    """Return a proper body for each unsafe route of the API; what is missing here takes none."""
    act = {"version": made.alert.version, "reason": "looked at it"}
    rule = {"group": str(made.group.pk), "name": "Cold", "kind": "promql", "spec": {"expr": "up == 1"}}
    return {
        "rules/": {**rule, "severity": "low"}, "rules/<pk>/": {"for_seconds": 60},
        "rules/<pk>/backfill/": {"start_at": "2026-11-20T00:00:00Z", "end_at": "2026-11-20T01:00:00Z"},
        "configuration/plan/": {"text": ""}, "configuration/apply/": {"text": "groups: [{name: imported}]"},
        "rules/<pk>/backtest/": {"days": 0.05, "wait": False}, "rules/<pk>/suggest/": {"days": 1},
        "backtests/": {"days": 0.05, "wait": False, "rule": {**rule, "severity": "low"}},
        "rule-groups/": {"name": "mine", "interval_seconds": 15}, "rule-groups/<pk>/": {"interval_seconds": 30},
        "scrape-pools/": {"name": "other"}, "scrape-pools/<pk>/": {"enabled": False},
        "scrape-pools/import/": {"text": "scrape_configs: [{job_name: imported}]"},
        "channels/": {"name": "other", "type": "webhook", "config": HOOK}, "channels/<pk>/": {"name": "renamed"},
        "remote-targets/": {"name": "other", "config": {"url": "https://store.example.org/api/v1/write"}},
        "remote-targets/<pk>/": {"enabled": False},
        "silences/": SILENCE, "silences/<pk>/": SILENCE,
        "silences/<pk>/extend/": {"ends_at": SILENCE["ends_at"]}, "silences/<pk>/end/": {},
        "mute-times/": {"name": "weekend", "intervals": [{"weekdays": ["monday:friday"]}]},
        "mute-times/<pk>/": {"enabled": False}, "inhibitions/<pk>/": {"enabled": False},
        "inhibitions/": {"name": "rack", "source_matchers": ["a=b"], "target_matchers": ["a=c"], "equal": ["rack"]},
        **reports.BODIES,
        "integrations/": {"name": "other", "tool": "grafana"}, "integrations/<pk>/": {"enabled": False},
        "hooks/": {"name": "gh2"}, "hooks/<pk>/": {"allowed_users": ["octocat"]},
        "components/": {"name": "hyperrag"}, "components/<pk>/": {"owner": "eva"}, "checks/<pk>/": {"weight": 2},
        "checks/": {"component": str(made.check.component_id), "name": "port", "kind": "tcp",
                    "config": {"host": "example.org", "port": 443}},
        **made.incidents.bodies(str(made.user.pk)),
        "policies/": {"name": "day"}, "policies/<pk>/": {"name": "renamed"},
        "alerts/<pk>/acknowledge/": act, "alerts/<pk>/resolve/": act, "alerts/<pk>/note/": act,
        "alerts/<pk>/thumb/": {**act, "useful": True},
        "alerts/<pk>/unacknowledge/": act, "alerts/<pk>/unsnooze/": act, "alerts/<pk>/reopen/": act,
        "alerts/<pk>/snooze/": {**act, "seconds": 3600},
        "alerts/<pk>/assign/": {**act, "assignee": str(made.user.pk)},
        "tokens/": {"name": "cd", "kind": "service", "scopes": ["admin"]}, "sources/": {"name": "web"},
        "blocks/": {"scope": "ip", "value": "192.0.2.8", "reason": "scans"},
        "blocks/<pk>/lift/": {"reason": "a mistake"}, "blocks/<pk>/extend/": {"reason": "goes on", "seconds": 3600},
        "allow-list/": {"scope": "cidr", "value": "203.0.113.0/24", "reason": "our scanner"},
        "allow-list/<pk>/remove/": {"reason": "moved out"},
        "runs/import/": {"run_summary": {"run_id": "old"}},
        "users/": {"email": "carol@example.org"},
        "users/<pk>/": {"name": "Bob"},
    }  # fmt: skip


def admin_models() -> list[type[Model]]:
    """Return every model of the admin site."""
    return list(site._registry)
