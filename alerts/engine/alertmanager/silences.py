"""Silences: from when to when which alerts are not told about, what may be changed of one, and how one ends."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from alerts.engine.alertmanager.matching import Labels, Matchers, all_hold
from alerts.engine.alertmanager.quoting import quote
from alerts.engine.alertmanager.syntax import Mode, is_name

State = Literal["pending", "active", "expired"]


class BadSilence(ValueError):
    """A silence that cannot be; the text says why."""


class NoSilence(KeyError):
    """No silence of this name."""


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence; times are seconds of the engine's clock."""

    identity: str
    matchers: Matchers
    starts_at: float
    ends_at: float
    created_by: str = ""
    comment: str = ""
    updated_at: float = 0.0

    def state(self, now: float) -> State:
        """Return where in its life a silence is."""
        if now < self.starts_at:
            return "pending"
        return "expired" if now > self.ends_at or self.starts_at == self.ends_at else "active"


def check(silence: Silence, mode: Mode = "fallback") -> None:
    """Raise BadSilence where a silence cannot be."""
    if not silence.matchers:
        raise BadSilence("invalid silence: matcher set 0 is empty")
    for at, each in enumerate(silence.matchers):
        if not is_name(each.name, mode):
            raise BadSilence(
                f"invalid silence: invalid label matcher {at} in set 0: invalid label name {quote(each.name)}"
            )
    if all(each.holds("") for each in silence.matchers):
        raise BadSilence("invalid silence: matcher set 0: at least one matcher must not match the empty string")
    if silence.ends_at < silence.starts_at:
        raise BadSilence("invalid silence: end time must not be before start time")


def may_update(old: Silence, new: Silence, now: float) -> bool:
    """Tell whether a silence may be changed in place; else the old one ends and a new one begins."""
    if old.matchers != new.matchers:
        return False
    state = old.state(now)
    if state == "active":
        return int(old.starts_at) == int(new.starts_at) and new.ends_at >= now
    return state == "pending" and new.starts_at >= now


def ended(silence: Silence, now: float) -> Silence:
    """Return a silence brought to its end."""
    state = silence.state(now)
    if state == "expired":
        return silence
    starts_at = now if state == "pending" else silence.starts_at
    return replace(silence, starts_at=starts_at, ends_at=now, updated_at=now)


@dataclass(slots=True)
class Silences:
    """All silences by name."""

    held: dict[str, Silence] = field(default_factory=dict)

    def put(self, silence: Silence, fresh: str, now: float) -> str:
        """Keep a silence, under the name `fresh` if it is a new one; raises BadSilence and NoSilence."""
        check(silence)
        old = self.held.get(silence.identity)
        if silence.identity and old is None:
            raise NoSilence(silence.identity)
        if old is not None and may_update(old, silence, now):
            self.held[old.identity] = replace(silence, updated_at=now)
            return old.identity
        if old is not None:
            self.held[old.identity] = ended(old, now)
        starts_at = max(silence.starts_at, now)
        self.held[fresh] = replace(silence, identity=fresh, starts_at=starts_at, updated_at=now)
        return fresh

    def expire(self, identity: str, now: float) -> None:
        """End a silence; raises NoSilence."""
        if identity not in self.held:
            raise NoSilence(identity)
        self.held[identity] = ended(self.held[identity], now)

    def silenced_by(self, labels: Labels, now: float) -> list[str]:
        """Return the names of the silences that hold for an alert."""
        return names_of(self.held.values(), labels, now)


def names_of(silences: Iterable[Silence], labels: Labels, now: float) -> list[str]:
    """Return the names of those silences that hold for a label set now."""
    return [each.identity for each in silences if each.state(now) == "active" and all_hold(each.matchers, labels)]
