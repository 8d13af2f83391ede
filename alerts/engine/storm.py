"""Storm control: beyond so many messages a minute, the rest is folded into one digest."""

from dataclasses import dataclass

PER_MINUTE = 50
WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a message is folded, why, and when the summary that tells of it is due."""

    folded: bool
    reason: str
    summary_at: float


def judge(*, told_in_window: int, now: float, per_minute: int = PER_MINUTE) -> Verdict:
    """Return whether one more message goes out by itself."""
    if told_in_window < per_minute:
        return Verdict(False, f"{told_in_window} messages in the last minute", now)
    window_ends_at = now - now % WINDOW_SECONDS + WINDOW_SECONDS
    return Verdict(True, f"folded into a summary: more than {per_minute} messages a minute", window_ends_at)
