"""The audit trail in sentences people read."""

from typing import Any

from django import template

register = template.Library()
SENTENCES = {
    "sign_in_link.issue": "one-time sign-in link for {target} issued", "sign_in_link.use": "signed in by one-time link",
    "session.sign_in": "signed in", "session.sign_out": "signed out", "token.issue": "token for {target} issued",
    "token.revoke": "token {target} revoked", "token.expire": "token {target} expired",
    "user.password_set": "new password set for {target}", "channel.test": "test message sent",
    "notification.replay": "message to {target} sent again", "alert.note": "alert #{id} noted",
}  # fmt: skip
NOUNS = {"rulegroup": "rule group", "apitoken": "token", "inboundhook": "webhook", "allow": "allowed entry"}
VERBS = {"create": "created", "update": "changed", "delete": "deleted", "disable": "disabled", "enable": "enabled"}


def _target(entry: Any) -> str:
    for facts in (entry.after, entry.before):
        for name in ("name", "email", "channel", "value"):
            if isinstance(facts, dict) and facts.get(name):
                return str(facts[name])
        if isinstance(facts, dict) and isinstance(facts.get("blocks"), dict):
            return _several(list(facts["blocks"]))
    return "" if len(entry.object_id or "") > 20 else str(entry.object_id or "")


def _several(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 3 else f"{names[0]} and {len(names) - 1} more"


def _words(entry: Any) -> str:
    if entry.action in SENTENCES:
        words = SENTENCES[entry.action].format(target=_target(entry), id=entry.object_id)
        return " ".join(words.replace(" for  ", " ").split())
    noun, _, verb = entry.action.rpartition(".")
    if noun == "alert":
        return f"alert #{entry.object_id} {verb}"
    return f"{NOUNS.get(noun, noun)} {_target(entry)} {VERBS.get(verb, verb.replace('_', ' '))}".replace("  ", " ")


@register.filter
def sentence(entry: Any) -> str:
    """Return what an audit entry says, beginning with who did it where that was a person or a token."""
    words = _words(entry)
    if entry.actor_kind == "system":
        return words[:1].upper() + words[1:]
    joint = " " if words.startswith("signed") else ": "
    return f"{entry.actor_label or entry.actor_kind}{joint}{words}"
