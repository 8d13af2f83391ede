"""`manage.py inbound try FILE [--as TOOL]` prints what a payload gives; `inbound corpus FILE` judges many samples."""

import json
import sys
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from alerts.engine.inbound import lines, samples, tools
from alerts.engine.inbound import mapping as mappings
from alerts.engine.inbound.told import Changed, Hints, Reading, Told, Unreadable

MOST_BYTES = 10_000_000


class Command(BaseCommand):
    """Reads a payload as the doors do."""

    help = "Show what alert or change comes of a payload another tool sends."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file, and what it is to be read as."""
        parser.add_argument("action", choices=["try", "corpus"], help="Read and print; or judge many.")
        parser.add_argument("file", help="JSON: one payload, or samples by provider; - reads standard input.")
        parser.add_argument("--as", dest="tool", default="generic", choices=sorted(tools.TOOLS), help="The sender.")
        parser.add_argument("--event", default="", help="What the sender's event header says, such as Pipeline Hook.")
        parser.add_argument("--mapping", default="", help="A file with a mapping: JSON, or lines field = expression.")
        parser.add_argument("--changes", action="store_true", help="Take what comes for changes, not alerts.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, **options: Any) -> None:
        """Print what comes of the payload, or fail with the reason why nothing does."""
        payload = _json(_text(options["file"]))
        if options["action"] == "corpus":
            self._judge(payload)
            return
        hints = Hints(event=options["event"], mapping=_mapping(options["mapping"]))
        try:
            found = tools.read(options["tool"], payload, hints)
        except Unreadable as error:
            raise CommandError(str(error)) from None
        if options["changes"]:
            found = mappings.changes_of(found, payload, hints)
        self.stdout.write(_as_json(found) if options["json"] else "\n".join(lines.described(found)))

    def _judge(self, given: Any) -> None:
        """Print how many samples of each provider give an alert with all that belongs to one."""
        if not isinstance(given, dict):
            raise CommandError("Samples are an object: payloads by provider.")
        judged = [(sample, samples.verdict(sample)) for sample in samples.samples(given)]
        for provider in given:
            own = [(sample, wrong) for sample, wrong in judged if sample.provider == provider]
            good = sum(not wrong for _, wrong in own)
            self.stdout.write(f"{provider} (as {samples.tool_of(provider)}): passed {good} of {len(own)}")
            for sample, wrong in own:
                if wrong:
                    self.stdout.write(f"  {sample.name}: {wrong}")
        self.stdout.write(f"passed {sum(not wrong for _, wrong in judged)} of {len(judged)}")


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
