"""`manage.py inbound try FILE [--as TOOL]`: prints the alert a payload gives, and stores nothing."""

import json
import sys
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from alerts.engine.inbound import lines, tools
from alerts.engine.inbound import mapping as mappings
from alerts.engine.inbound.told import Changed, Hints, Reading, Told, Unreadable

MOST_BYTES = 10_000_000


class Command(BaseCommand):
    """Reads a payload as the doors do."""

    help = "Show what alert or change comes of a payload another tool sends."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file, and what it is to be read as."""
        parser.add_argument("action", choices=["try"], help="try: read and print.")
        parser.add_argument("file", help="A file with one JSON payload; - reads standard input.")
        parser.add_argument("--as", dest="tool", default="generic", choices=sorted(tools.TOOLS), help="The sender.")
        parser.add_argument("--event", default="", help="What the sender's event header says, such as Pipeline Hook.")
        parser.add_argument("--mapping", default="", help="A file with a mapping: JSON, or lines field = expression.")
        parser.add_argument("--changes", action="store_true", help="Take what comes for changes, not alerts.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, **options: Any) -> None:
        """Print what comes of the payload, or fail with the reason why nothing does."""
        payload = _json(_text(options["file"]))
        hints = Hints(event=options["event"], mapping=_mapping(options["mapping"]))
        try:
            found = tools.read(options["tool"], payload, hints)
        except Unreadable as error:
            raise CommandError(str(error)) from None
        if options["changes"]:
            found = mappings.changes_of(found, payload, hints)
        self.stdout.write(_as_json(found) if options["json"] else "\n".join(lines.described(found)))


def _text(name: str) -> str:
    try:
        return sys.stdin.read(MOST_BYTES) if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"The file is not JSON: {error}") from None


def _mapping(name: str) -> dict[str, Any]:
    if not name:
        return {}
    text = _text(name)
    try:
        mapping = _json(text) if text.lstrip().startswith("{") else lines.mapping_of(text)
    except lines.BadLine as error:
        raise CommandError(str(error)) from None
    wrong = mappings.problems(mapping)
    if wrong:
        raise CommandError("; ".join(f"{field}: {problem}" for field, problem in wrong.items()))
    return dict(mapping)


def _as_json(found: Reading) -> str:
    facts = {
        "reader": found.reader, "alerts": [_facts(told) for told in found.alerts],
        "changes": [_facts(change) for change in found.changes], "problems": found.problems, "said": found.said,
    }  # fmt: skip
    return orjson.dumps(facts, option=orjson.OPT_INDENT_2).decode()


def _facts(each: Told | Changed) -> dict[str, Any]:
    return {name: getattr(each, name) for name in each.__slots__}
