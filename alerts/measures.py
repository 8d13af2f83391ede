"""The console's own figures about rules, escalation and delivery."""

from prometheus_client import Counter, Gauge, Histogram

WORK = Counter("console_work_total", "Rows of due work that were done, by who did them.", ["kind", "hand"])
EVALUATIONS = Counter("console_rule_evaluations_total", "Rule evaluations by outcome.", ["group", "result"])
EVALUATION_SECONDS = Histogram(
    "console_rule_evaluation_duration_seconds", "Time of one evaluation of a group.", ["group"]
)
RECORDED = Counter(
    "console_recorded_samples_total", "Samples written by recording rules, at their time or over the past.", ["work"]
)
EVALUATION_LAG = Histogram(
    "console_rule_evaluation_lag_seconds", "From the grid time to the evaluation.", ["group"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60),
)  # fmt: skip
NOTIFICATIONS = Counter("console_notifications_total", "Tries to send by outcome.", ["channel", "outcome"])
NOTIFICATION_SECONDS = Histogram(
    "console_notification_latency_seconds", "From the decision to the receiver's yes.", ["channel"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30),
)  # fmt: skip
ESCALATION_STEPS = Counter("console_escalation_steps_total", "Steps of policies by outcome.", ["outcome"])
OVERDUE = Gauge(
    "console_escalation_overdue", "Escalation steps more than 30 s late, at the last audit.",
    multiprocess_mode="livemostrecent",
)  # fmt: skip
QUEUE_DEPTH = Gauge(
    "console_queue_depth", "Rows owed, at the last audit.", ["queue"], multiprocess_mode="livemostrecent"
)
ISSUE_POLLS = Counter("console_issue_polls_total", "Times a receiver was asked what became of its issues.", ["outcome"])
ISSUES_FOUND = Counter("console_issues_found_total", "Changes that were found by asking, no webhook told.", ["state"])
