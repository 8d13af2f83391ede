"""Puts an Alertmanager configuration into channels, policies, inhibitions and mute times."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from aivillage_console.accounts.services import Actor
from alerts.engine.alertmanager.carrying import Carried, CarriedChannel, CarriedPolicy, carry
from alerts.engine.alertmanager.config import load
from alerts.models import Channel, Inhibition, MuteTime, Policy
from alerts.services.configuration import Invalid, channel_save, policy_save
from alerts.services.quiet_rules import quiet_rule_save


class _Undone(Exception):
    """Rolls a trial run back."""


@dataclass(slots=True)
class Done:
    """What was, or would be, made: one line each; and what could not be carried."""

    lines: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def foreign_import(text: str, *, actor: Actor, now: datetime, trial: bool = False) -> Done:
    """Take a configuration in; raises BadConfig where it is none. What exists under a name is changed, not doubled."""
    carried = carry(load(text))
    done = Done(left_out=list(carried.left_out))
    try:
        with transaction.atomic():
            _put(carried, done, actor, now)
            if trial:
                raise _Undone
    except _Undone:
        pass
    return done


def _put(carried: Carried, done: Done, actor: Actor, now: datetime) -> None:
    channels = {each.name: made for each in carried.channels if (made := _channel(each, done, actor, now)) is not None}
    times = {name: _mute_time(name, carried, done, actor, now) for name in carried.times}
    first = (Policy.objects.filter(is_default=False).aggregate(at=Max("position"))["at"] or 0) + 1
    for place, each in enumerate(carried.policies):
        policy = _policy(each, first + place, channels, done, actor, now)
        for name in (*each.mute_times, each.active_time):
            if name:
                times[name].policies.add(policy)
    for rule in carried.rules:
        fields = {"source_matchers": list(rule.source), "target_matchers": list(rule.target), "equal": list(rule.equal)}
        _kept(Inhibition, rule.name, fields, "inhibition", done, actor, now)


def _channel(each: CarriedChannel, done: Done, actor: Actor, now: datetime) -> Channel | None:
    channel = Channel.objects.filter(name=each.name).first()
    verb = "change" if channel is not None else "create"
    channel = channel or Channel(name=each.name)
    channel.type, channel.config = each.type, dict(each.config)
    try:
        with transaction.atomic():
            channel_save(channel, actor=actor, now=now, secret=each.secret)
    except Invalid as problem:
        done.left_out.append(f"channel {each.name}: {problem}")
        return None
    done.lines.append(f"{verb} channel {each.name} ({each.type})")
    return channel


def _policy(
    each: CarriedPolicy, position: int, channels: Mapping[str, Channel], done: Done, actor: Actor, now: datetime
) -> Policy:
    policy = Policy.objects.filter(name=each.name[:120]).first()
    verb = "change" if policy is not None else "create"
    policy = policy or Policy(name=each.name[:120], position=position)
    policy.triggers = [{"matchers": list(each.matchers)}] if each.matchers else []
    told = [channels[name].pk for name in each.channels if name in channels]
    policy_save(policy, actor=actor, now=now, steps=[{"delay_seconds": 0, "channels": told}])
    to = ", ".join(name for name in each.channels if name in channels) or "nobody"
    done.lines.append(f"{verb} policy {each.name}: {' and '.join(each.matchers) or 'every alert'} -> {to}")
    if not told:
        done.left_out.append(f"policy {each.name}: its alerts would reach nobody")
    return policy


def _mute_time(name: str, carried: Carried, done: Done, actor: Actor, now: datetime) -> MuteTime:
    times = carried.times[name]
    fields = {"intervals": [dict(each) for each in times.intervals], "tells_inside": times.tells_inside}
    found = _kept(MuteTime, name, fields, "active time" if times.tells_inside else "mute time", done, actor, now)
    if not isinstance(found, MuteTime):
        raise TypeError(name)
    return found


def _kept(
    model: type[Inhibition] | type[MuteTime], name: str, fields: Mapping[str, Any], word: str, done: Done, actor: Actor,
    now: datetime,
) -> Inhibition | MuteTime:  # fmt: skip
    row = model.objects.filter(name=name[:200]).first()
    verb = "change" if row is not None else "create"
    row = row or model(name=name[:200])
    for key, value in fields.items():
        setattr(row, key, value)
    quiet_rule_save(row, actor=actor, now=now)
    done.lines.append(f"{verb} {word} {name}")
    return row
