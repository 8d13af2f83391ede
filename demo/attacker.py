"""The attacks of the simulator (domain reference, section 5), over real HTTP against the demo service.

| attack | what is sent | from |
|---|---|---|
| brute force | 15 tries 0.1 s apart as `admin`, agent BruteForceBot/1.0 | 10.N.0.100 |
| injection scan | six payloads 0.5 s apart to /api/search | 10.N.0.101 |
| flood | 5 bursts of 100 to /api/login, 1 s apart, AttackBot/2.0 | 10.N.0.102 to 104, users `bot_<address>` |
| spraying | one password for 40 users | 10.N.0.105 |
| stuffing | 40 users, each from an address of its own, twice | 10.N.1.1 to 40 |

N is the number of the run, so that what a former run got blocked does not hide this one.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from demo.visitors import Line, Visit

PAYLOADS = (
    "'; DROP TABLE users; --", "' OR '1'='1", "' UNION SELECT password FROM users --", "1' AND 1=1 --", "admin'--",
    "' OR 1=1#",
)  # fmt: skip
TRIES, BURSTS, BURST_REQUESTS, PEOPLE = 15, 5, 100, 40
BLOCKED = 403
Wait = Callable[[float], None]


@dataclass(slots=True)
class Attack:
    """One attack: who, and what came of it; an attack counts as found when any of its addresses or users was."""

    name: str
    expected: str  # the band the console owes it at least
    addresses: tuple[str, ...]
    users: tuple[str, ...]
    visits: Callable[[Wait], Iterator[Visit]]
    began_at: float = 0.0
    ended_at: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)

    def run(self, line: Line, wait: Wait) -> None:
        """Carry it out."""
        self.began_at = time.time()
        for visit in self.visits(wait):
            self.statuses[line.send(visit)] += 1
        self.ended_at = time.time()

    @property
    def sent(self) -> int:
        """Return how many requests went out."""
        return self.statuses.total()

    @property
    def blocked(self) -> int:
        """Return how many of them the block list turned away."""
        return self.statuses[BLOCKED]


def attacks(run: int) -> list[Attack]:
    """Return the attacks of a run, in the order they come."""
    net = f"10.{run % 250}"
    bots = tuple(f"{net}.0.{last}" for last in (102, 103, 104))
    crowd = tuple(f"{net}.1.{last}" for last in range(1, PEOPLE + 1))
    victims = tuple(f"customer.{number}" for number in range(PEOPLE))
    owners = tuple(f"member.{number}" for number in range(PEOPLE))
    return [
        Attack("brute force", "critical", (f"{net}.0.100",), ("admin",), lambda wait: _brute(f"{net}.0.100", wait)),
        Attack("injection scan", "high", (f"{net}.0.101",), ("scanner",), lambda wait: _scan(f"{net}.0.101", wait)),
        Attack("flood", "critical", bots, tuple(f"bot_{bot}" for bot in bots), lambda wait: _flood(bots, wait)),
        Attack("spraying", "high", (f"{net}.0.105",), victims, lambda wait: _spray(f"{net}.0.105", victims, wait)),
        Attack("stuffing", "high", crowd, owners, lambda wait: _stuff(crowd, owners, wait)),
    ]


def _login(user: str, address: str, password: str, agent: str) -> Visit:
    return Visit("/api/login", user, address, {"user": user, "password": password}, agent)


def _brute(address: str, wait: Wait) -> Iterator[Visit]:
    for number in range(TRIES):
        yield _login("admin", address, f"guess-{number}", "BruteForceBot/1.0")
        wait(0.1)


def _scan(address: str, wait: Wait) -> Iterator[Visit]:
    for payload in PAYLOADS:
        yield Visit("/api/search", "scanner", address, {"query": payload}, "sqlmap-like/1.0")
        wait(0.5)


def _flood(bots: tuple[str, ...], wait: Wait) -> Iterator[Visit]:
    for _ in range(BURSTS):
        for number in range(BURST_REQUESTS):
            bot = bots[number % len(bots)]
            yield _login(f"bot_{bot}", bot, "let-me-in", "AttackBot/2.0")
        wait(1.0)


def _spray(address: str, victims: tuple[str, ...], wait: Wait) -> Iterator[Visit]:
    for user in victims:
        yield _login(user, address, "Summer2026!", "Mozilla/5.0")
        wait(0.1)


def _stuff(crowd: tuple[str, ...], owners: tuple[str, ...], wait: Wait) -> Iterator[Visit]:
    for round_ in range(2):
        for address, user in zip(crowd, owners, strict=True):
            yield _login(user, address, f"leaked-{round_}", "Mozilla/5.0")
            wait(0.05)
