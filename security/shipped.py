"""The rules Security ships: what it found, and the rules of the platform whose metrics it emits."""

from alerts.rules.shipped import Shipped, ShippedGroup

LABELS = {"component": "security", "category": "security"}

GROUP = ShippedGroup(
    name="security", interval_seconds=5, rules=(
        Shipped(
            name="security_threat_detected", kind="security_event",
            spec={"min_score": 0.7, "group_by": ["source_ip"]}, severity="high", window_seconds=300,
            cooldown_seconds=3600, labels=LABELS, summary="{{ $labels.source_ip }} attacks",
            description="A detector scored what happened at a door of a service at 0.7 or more.",
            runbook="Open Security, read the reasons; block or extend the block; keep the evidence; tell the owner.",
        ),
        Shipped(
            name="HighThreatScore", kind="promql", for_seconds=300, severity="critical", labels=LABELS,
            spec={"expr": "max by (user_id) (threat_score_current) > 0.8"},
            summary="The threat score of {{ $labels.user_id }} is {{ $value }}",
            description="What this user did has been found threatening for five minutes and more.",
            runbook="Source addresses of the user on Security; block list; lock the account.",
        ),
        Shipped(
            name="AuthenticationFailureSpike", kind="promql", for_seconds=120, severity="medium", labels=LABELS,
            spec={"expr": "sum(rate(auth_failures_total[5m])) > 0.1"},
            summary="{{ $value }} tries to sign in fail a second",
            description="More sign-ins fail than mistyped passwords explain.",
            runbook="Addresses and users on Security; was a password or a client changed? Block list; user lock.",
        ),
        Shipped(
            name="SlowSecurityDetection", kind="promql", for_seconds=600, severity="medium", labels=LABELS,
            spec={
                "expr": "histogram_quantile(0.95, sum by (le) "
                        "(rate(security_detection_duration_seconds_bucket[5m]))) > 0.1"
            },
            summary="Detection takes {{ $value }} s an event",
            description="The detectors take twice as long an event as they may.",
            runbook="Load of PostgreSQL and of the worker; how many events wait; are events unusually large?",
        ),
    ),
)  # fmt: skip
