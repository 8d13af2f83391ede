"""`manage.py recording_backfill RULE --from --to`: computes a recording rule over the past and shows how far it is."""

import time
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.utils.dateparse import parse_datetime

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from aivillage_console.lib.durations import BadDuration, parse_ms
from alerts import services
from alerts.engine.states import BackfillState
from alerts.models import RecordingBackfill, Rule
from alerts.services.configuration import Invalid

FOLLOW_SECONDS = 1.0
HAND_SECONDS = 2.0


def _moment(name: str, text: str) -> datetime:
    """Return a time: ISO 8601 with its zone, Unix seconds, or a duration before now."""
    try:
        found = clock.at_seconds(float(text)) if text.replace(".", "", 1).isdigit() else parse_datetime(text)
        if found is None:
            found = clock.at_seconds(clock.now().timestamp() - parse_ms(text) / 1000)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None or found.tzinfo is None:
        raise CommandError(f"--{name}: write 2026-11-20T00:00:00Z, Unix seconds, or 7d for seven days ago")
    return found


class Command(BaseCommand):
    """Orders it, then works on it here; stopped or killed, the workers go on with it, or the next call does."""

    help = "Compute a recording rule over the past."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say what is asked for."""
        parser.add_argument("rule", help="Its name, its id, or the name of the series it records.")
        parser.add_argument("--from", dest="start", required=True, help="2026-11-20T00:00:00Z, Unix seconds, or 7d.")
        parser.add_argument("--to", dest="end", default="0s", help="The same; without it, now.")
        parser.add_argument("--step", default="", help="A duration of whole seconds; without it, the group's interval.")
        parser.add_argument("--detach", action="store_true", help="Leave the work to the workers.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Order, work and tell."""
        rule = self._rule(options["rule"])
        try:
            step_seconds = parse_ms(options["step"]) // 1000 if options["step"] else None
            row = services.backfill_order(
                rule, start_at=_moment("from", options["start"]), end_at=_moment("to", options["end"]),
                step_seconds=step_seconds, actor=Actor.system("recording_backfill"), now=clock.now(),
            )  # fmt: skip
        except (BadDuration, Invalid) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{row.pk}: {row.steps} times from {row.start_at.isoformat()} to {row.end_at.isoformat()}")
        if not options["detach"]:
            self._follow(row)

    def _rule(self, word: str) -> Rule:
        wanted = Q(name=word) | Q(spec__record=word, kind="recording")
        rules = list(Rule.objects.select_related("group").filter(wanted | Q(pk=word) if _is_id(word) else wanted))
        if len(rules) != 1:
            names = ", ".join(rule.name for rule in rules)
            raise CommandError(f"several rules record {word}: {names}" if rules else f"there is no rule {word}")
        return rules[0]

    def _follow(self, row: RecordingBackfill) -> None:
        shown = ""
        while row.state == BackfillState.DUE:
            # A worker may have taken it: then there is nothing to claim, and this only looks on.
            if not services.backfill_due(hand="command", deadline_seconds=HAND_SECONDS):
                time.sleep(0 if RecordingBackfill.objects.filter(pk=row.pk).exclude(state="due").exists() else 0.2)
            row.refresh_from_db()
            line = f"{row.progress:.0%}, {row.samples} samples"
            if line != shown:
                self.stdout.write(line)
            shown = line
        if row.state != BackfillState.DONE:
            raise CommandError(
                f"{row.state} after {row.steps_done} of {row.steps} times: {row.last_error}".rstrip(": ")
            )


def _is_id(word: str) -> bool:
    return len(word) == len("00000000-0000-0000-0000-000000000000") and word.count("-") == 4
