"""What senders declare about metric families: kept once, though it is said with every request."""

from collections.abc import Sequence

from django.db import transaction

from metrics.domain import Metadata
from metrics.models import MetadataEntry, Metric

REMEMBERED = 50_000


class Declared:
    """What this process knows to be in the database; only what was committed."""

    def __init__(self) -> None:
        """Know nothing."""
        self._known: set[Metadata] = set()

    def news(self, entries: Sequence[Metadata]) -> list[Metadata]:
        """Return the entries that are not known to be kept."""
        return [entry for entry in entries if entry not in self._known]

    def remember(self, entries: Sequence[Metadata]) -> None:
        """Know that these are kept, and what they replace is not."""
        families = {entry.family for entry in entries}
        if len(self._known) + len(entries) > REMEMBERED:
            self._known = set()
        self._known = {entry for entry in self._known if entry.family not in families} | set(entries)

    def forget(self) -> None:
        """Know nothing again."""
        self._known = set()


DECLARED = Declared()


def metadata_store(entries: Sequence[Metadata]) -> None:
    """Keep what is news; the last one to speak of a family is right."""
    if not entries:
        return
    latest = {entry.family: entry for entry in entries}
    news = sorted(DECLARED.news(list(latest.values())), key=lambda entry: entry.family)
    if not news:
        return
    # Of its own where there is no transaction: it locks metrics by name, as new series do after it.
    with transaction.atomic():
        MetadataEntry.objects.bulk_create(
            [MetadataEntry(family=one.family, type=one.type, unit=one.unit, help=one.help) for one in news],
            update_conflicts=True,
            unique_fields=["family"],
            update_fields=["type", "unit", "help"],
        )
        for one in news:
            Metric.objects.filter(name=one.family).exclude(type=one.type, unit=one.unit, help=one.help).update(
                type=one.type, unit=one.unit, help=one.help
            )
        transaction.on_commit(lambda: DECLARED.remember(news))
