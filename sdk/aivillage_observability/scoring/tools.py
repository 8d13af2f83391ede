"""Scores of one tool call (MCP)."""

import json
from dataclasses import dataclass

from aivillage_observability.scoring.score import NOTHING, Reason, Score, excerpt

RISKY_TOOLS = frozenset({"bash", "write_file", "delete_file", "network_access"})
SUSPICIOUS = ("rm -rf", "sudo")
ARGUMENT_CHARS = 64 * 1024


@dataclass(frozen=True, slots=True)
class ToolUse:
    """What a tool call is: an event type (empty for an ordinary one), its score, and what should happen to it."""

    event_type: str
    score: Score
    needs_approval: bool = False
    blocked: bool = False


def _as_text(arguments: object) -> str:
    if isinstance(arguments, str):
        return arguments[:ARGUMENT_CHARS]
    try:
        return json.dumps(arguments, default=lambda value: type(value).__name__)[:ARGUMENT_CHARS]
    except (TypeError, ValueError, RecursionError):
        return ""


def score_suspicious_command(arguments: object) -> Score:
    """Score the arguments of a tool call: `rm -rf` or `sudo` is 0.8, whatever the tool."""
    text = " ".join(_as_text(arguments).lower().split())
    for words in SUSPICIOUS:
        at = text.find(words)
        if at >= 0:
            return Score(
                0.8, (Reason("suspicious_command", f"the arguments hold {words!r}", 0.8, excerpt(text, at - 20)),)
            )
    return NOTHING


def score_tool_use(tool_name: str, arguments: object = "") -> ToolUse:
    """Score one call: a suspicious command is blocked, a risky tool needs approval, both are high."""
    command = score_suspicious_command(arguments)
    if command.value:
        return ToolUse("suspicious_command", command, blocked=True)
    if tool_name.strip().lower() in RISKY_TOOLS:
        reason = Reason("risky_tool", f"the tool {excerpt(tool_name)} changes or reaches things", 0.7)
        return ToolUse("high_risk_tool_usage", Score(0.7, (reason,)), needs_approval=True)
    return ToolUse("", NOTHING)
