"""What every channel is given and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Letter:
    """One message ready to go: no row, no transaction, nothing to look up."""

    key: str
    at: datetime
    payload: Mapping[str, Any]
    config: Mapping[str, Any]
    secret: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver's yes."""

    status: int | None
    excerpt: str


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
    ) -> None:
        """Keep what the dispatcher writes down; `gone` switches the channel off."""
        super().__init__(message)
        self.permanent = permanent
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.gone = gone
        self.maybe_delivered = maybe_delivered
