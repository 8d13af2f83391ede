"""What the console made of the attacks: its findings beside what was really sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from aivillage_observability.scoring import band
from demo.attacker import Attack
from demo.door import Console

FOUND_FROM = 0.7
INNOCENT_NET = "192.168.20."
BANDS = ("low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Row:
    """One attack and its findings."""

    attack: Attack
    findings: Sequence[dict[str, Any]]

    @property
    def band(self) -> str:
        """Return the worst band it was given, or a dash."""
        return max((_band(finding) for finding in self.findings), key=BANDS.index, default="-")

    @property
    def found(self) -> bool:
        """Tell whether it is at least as bad as expected."""
        return self.band in BANDS and BANDS.index(self.band) >= BANDS.index(self.attack.expected)

    @property
    def delay_ms(self) -> float | None:
        """Return how long after its event the first finding that counts was stored."""
        delays = [_delay_ms(finding) for finding in self.findings if _score(finding) >= FOUND_FROM]
        return min(delays, default=None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """All attacks, and what innocent people were accused of."""

    rows: Sequence[Row]
    accused: Sequence[dict[str, Any]]

    @property
    def missed(self) -> list[str]:
        """Return the attacks that were not found, or not taken seriously enough."""
        return [row.attack.name for row in self.rows if not row.found]

    def counted(self, band: str) -> int:
        """Return how many findings have a band."""
        return sum(_band(finding) == band for row in self.rows for finding in row.findings)

    def median_delay_ms(self) -> float:
        """Return the median time from event to finding."""
        delays = [_delay_ms(finding) for row in self.rows for finding in row.findings]
        return median(delays) if delays else 0.0

    def table(self) -> list[list[str]]:
        """Return it as rows of text."""
        shown = [["attack", "sent", "blocked", "findings", "worst", "expected", "found", "first after"]]
        for row in self.rows:
            delay = "-" if row.delay_ms is None else f"{row.delay_ms:.0f} ms"
            shown.append([
                row.attack.name, str(row.attack.sent), str(row.attack.blocked), str(len(row.findings)), row.band,
                row.attack.expected, "yes" if row.found else "MISSED", delay,
            ])  # fmt: skip
        return shown

    def summary(self) -> str:
        """Return it as a sentence."""
        total = sum(len(row.findings) for row in self.rows)
        missed = ", ".join(self.missed) or "none"
        return (
            f"{total} findings: {self.counted('critical')} critical, {self.counted('high')} high. Missed: {missed}. "
            f"False: {len(self.accused)}. Median delay {self.median_delay_ms():.0f} ms."
        )


def judged(console: Console, attacks: Sequence[Attack], since: float) -> Verdict:
    """Read the findings since a time and put each beside its attack, by address."""
    after = datetime.fromtimestamp(since, UTC).isoformat()
    findings = console.everything("findings", pages=60, after=after, min_score=0.5)
    rows = [
        Row(attack, [one for one in findings if one["source_ip"] in attack.addresses]) for attack in attacks
    ]  # fmt: skip
    accused = [
        one for one in findings
        if str(one["source_ip"] or "").startswith(INNOCENT_NET) and one["score"] >= FOUND_FROM
    ]  # fmt: skip
    return Verdict(rows, accused)


def _score(finding: dict[str, Any]) -> float:
    # An attack of many addresses is judged as a whole; each of them is charged with a part of it only.
    return max(float(finding["score"]), float(finding.get("attack_score") or 0))


def _band(finding: dict[str, Any]) -> str:
    return max(str(finding["band"]), band(_score(finding)), key=BANDS.index)


def _delay_ms(finding: dict[str, Any]) -> float:
    at, found_at = (datetime.fromisoformat(str(finding[name])) for name in ("at", "found_at"))
    return (found_at - at).total_seconds() * 1000
