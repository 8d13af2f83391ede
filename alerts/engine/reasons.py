"""The one list of reasons for which nobody is told, and the one list of causes for which an alert ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """How a pass of the pipeline, or a message, ended: told, or kept back for exactly one of these reasons."""

    TOLD = "told"  # Somebody is told.
    NOT_FIRING = "not_firing"  # There is nothing to tell.
    PENDING = "pending"  # The condition has not held for long enough.
    DUPLICATE = "duplicate"  # It says nothing new of an episode that runs.
    STALE = "stale"  # Nobody can tell whether it still fires; the rule's own alert says so.
    BY_HAND = "by_hand"  # Somebody resolved it, and its condition has not ended since.
    ACKNOWLEDGED = "acknowledged"  # Somebody has taken it on.
    SNOOZED = "snoozed"  # Somebody wants to hear of it later.
    FLAPPING = "flapping"  # It comes and goes: counted, and told once it has come to rest.
    GROUP = "group"  # The message about another alert of its group spoke for it.
    INCIDENT = "incident"  # The message about its incident spoke for it.
    COOLDOWN = "cooldown"  # Its rule lets some time pass between two messages.
    LATER = "later"  # The first step of its policy is ahead.
    INHIBITED = "inhibited"  # Another alert that fires says it already.
    MUTE_TIME = "mute_time"  # It is not the time to tell.
    SILENCED = "silenced"  # Somebody asked for quiet until a time.
    NO_POLICY = "no_policy"  # No policy matches, and there is no default.
    NO_STEP = "no_step"  # The policy has no steps.
    NO_CHANNEL = "no_channel"  # The step names no channel.
    CHANNEL_FILTER = "channel_filter"  # No policy names a channel, and the filters of all leave it out.
    CHANNEL_OFF = "channel_off"  # The channel is switched off, or gone.
    DIGEST = "digest"  # Too many messages a minute: folded into one.
    RESOLVED = "resolved"  # It was over before the message was sent.
    FIRES_AGAIN = "fires_again"  # Its end is not told, because it fired again before that was sent.
    SUPERSEDED = "superseded"  # A later message, or a later episode, took its place.
    UNTOLD = "untold"  # This receiver never heard of its beginning.


class ResolvedCause(StrEnum):
    """Why an episode ended."""

    RECOVERED = "recovered"  # The condition no longer holds.
    VANISHED = "vanished"  # The data it was about is gone, and its rule takes that for an end.
    RULE_EDITED = "rule_edited"  # Its rule was changed, and asks for something else now.
    RULE_OFF = "rule_off"  # Its rule was switched off or deleted.
    MANUAL = "manual"  # Somebody resolved it.
    UPSTREAM = "upstream"  # Whoever sent it says that it is over.
    EXPIRED = "expired"  # Nobody could, or would, tell any more for too long.


CAUSE_WORDS: Mapping[str, str] = {
    ResolvedCause.RECOVERED: "recovered",
    ResolvedCause.VANISHED: "data vanished",
    ResolvedCause.RULE_EDITED: "rule edited",
    ResolvedCause.RULE_OFF: "rule switched off or deleted",
    ResolvedCause.MANUAL: "by hand",
    ResolvedCause.UPSTREAM: "its sender said so",
    ResolvedCause.EXPIRED: "expired",
}


@dataclass(frozen=True, slots=True)
class Held:
    """Why something is not told: the reason of the list, and the sentence people read."""

    why: Why
    text: str
