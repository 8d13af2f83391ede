"""What every channel is given and what it gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Known:
    """What an alert is called at a receiver: an issue, a message, the first mail of a thread."""

    external_id: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message ready to go: no row, no transaction, nothing to look up.

    `known` is what this alert is already called at this receiver, oldest first; `maybe_there` says that an earlier
    try may have arrived without an answer, so a channel that can look does so before it makes a second one.
    """

    key: str
    at: datetime
    payload: Mapping[str, Any]
    config: Mapping[str, Any]
    secret: str
    attempt: int = 1
    known: Sequence[Known] = ()
    maybe_there: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Return fire, repeat, update, resolve, summary or test."""
        return str(self.payload.get("kind", "fire"))

    @property
    def over(self) -> bool:
        """Say whether the message tells of an end."""
        return self.payload.get("status") == "resolved"

    @property
    def follows(self) -> bool:
        """Say whether the message means nothing to a receiver that never heard of the alert: its end, or who has it."""
        return self.over or self.kind == "update"

    @property
    def step(self) -> int:
        """Return the step of the policy, counted from one; 0 where there is none."""
        return int(self.payload.get("escalation_step") or 0)

    @property
    def url(self) -> str:
        """Return the alert's page, or the console's where the message is not of one alert."""
        return str(self.payload.get("url") or self.facts.get("home_url", ""))


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver's yes, and what the alert is called there from now on."""

    status: int | None
    excerpt: str
    external_id: str = ""
    url: str = ""
    state: str = ""  # What this message put it into there: open, closed; empty where it changed no state.
    state_at: datetime | None = None  # When, by the receiver's clock.


class ChannelError(Exception):
    """The message was not delivered. `permanent` alone decides between giving up and trying again."""

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        status: int | None = None,
        retry_after_seconds: float | None = None,
        gone: bool = False,
        maybe_delivered: bool = False,
        limited: bool = False,
        made: Known | None = None,
    ) -> None:
        """Keep what the dispatcher writes down.

        `gone` switches the channel off; `limited` means that the receiver asks for a pause and not that it is broken;
        `made` is what came to be at the receiver before the failure.
        """
        super().__init__(message)
        self.permanent = permanent
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.gone = gone
        self.maybe_delivered = maybe_delivered
        self.limited = limited
        self.made = made
