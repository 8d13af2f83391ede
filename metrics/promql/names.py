"""The platform's contract names: type, unit, labels in their order, who sends them, and their other spellings."""

from dataclasses import dataclass
from typing import Literal

from metrics.promql.spellings import spellings

Sender = Literal["console", "service"]


@dataclass(frozen=True, slots=True)
class ContractName:
    """One metric everybody agrees on; `console` says that /metrics has it."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    unit: str = ""
    sender: Sender = "service"

    @property
    def aliases(self) -> tuple[str, ...]:
        """Return the spellings that find the same series in a query."""
        return spellings(self.name)[1:]


def _named(
    name: str, kind: Literal["counter", "gauge", "histogram"], labels: str, meaning: str, unit: str = "",
    sender: Sender = "service",
) -> ContractName:  # fmt: skip
    return ContractName(name, kind, tuple(labels.split()), meaning, unit, sender)


CONTRACT: tuple[ContractName, ...] = (
    _named("agent_forge_phases_total", "counter", "phase status model_size", "finished phases", sender="console"),
    _named("agent_forge_phase_duration_seconds", "histogram", "phase model_size", "time a phase took", "s", "console"),
    _named("model_compression_ratio", "gauge", "model compression_type", "original by compressed size", "x", "console"),
    _named("rag_queries_total", "counter", "query_type success", "queries people made"),
    _named("rag_query_latency_seconds", "histogram", "query_type", "how long they waited", "s"),
    _named("p2p_messages_total", "counter", "direction protocol status", "messages between peers"),
    _named("p2p_peers_connected", "gauge", "protocol", "peers a node is connected to"),
    _named("auth_failures_total", "counter", "user_id source_ip reason", "failed tries to sign in", sender="console"),
    _named("security_events_total", "counter", "event_type severity", "security events seen", sender="console"),
    _named("threat_score_current", "gauge", "user_id", "threat score of a user, 0 to 1", "ratio", "console"),
    _named("security_detection_duration_seconds", "histogram", "", "time to look at one event", "s", "console"),
    _named("error_budget_consumption_percent", "gauge", "service slo window", "spent part of an error budget", "%"),
    _named("codomyrmex_analyses_total", "counter", "module analysis_type status", "analyses done"),
    _named("codomyrmex_analysis_duration_seconds", "histogram", "module analysis_type", "how long they took", "s"),
    _named("codomyrmex_active_jobs", "gauge", "job_type", "jobs at work"),
    _named("codomyrmex_code_quality_score", "gauge", "project module", "quality, 0 to 100"),
    _named("codomyrmex_ai_api_calls_total", "counter", "provider model status", "calls of a model"),
    _named("codomyrmex_ai_tokens_used_total", "counter", "provider model token_type", "tokens in and out"),
)


def as_table() -> str:
    """Return the names as the rows of a Markdown table."""
    lines = ["| name | type | unit | labels | sent by | also asked as | meaning |", "|---|---|---|---|---|---|---|"]
    for one in CONTRACT:
        cells = (
            f"`{one.name}`", one.type, one.unit, ", ".join(one.labels), one.sender,
            ", ".join(f"`{alias}`" for alias in one.aliases), one.help,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
