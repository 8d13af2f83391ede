"""Timers of rules and ends of alerts while evaluator, worker, dispatcher and PostgreSQL are killed with -9.

One console of its own, samples by remote write, one webhook that takes everything.

Timers: a rule with `for` gets a new series at 0, 30 and 60 % of each stretch as long as its `for`; at 90 % the victims
are killed, so each kill meets timers at 30, 60 and 90 %. The supervisor starts them again; once they are kept down for
longer. A timer must never begin anew, an alert must fire at most one interval after it was due by the evaluation's own
time, and an alert that has been told must not be told again by any later kill. When each page arrived is printed.

Ends: alerts begin and end in rounds, some by the alerts' door, some by a rule. Right after each change, and once more a
moment later, a random choice of dispatcher, worker and evaluator is killed, so that state changes lie there with nobody
to tell them. One in five at the door ends before anybody can have told its beginning: it may be told whole or not at
all, with a reason. Where a kill cut off the sending of its beginning, that may have arrived, so its end is told: those
of which only the end arrived are counted apart. Every beginning that arrived must be followed by exactly one end, and
none by a second of either; copies carry the same id.
"""

import datetime as dt
import math
import random
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx
import psycopg

from bench.harness import Console, Report, report_from_arguments, running_console
from bench.receivers import Receipt, Receivers, receiving
from bench.roles import by_role, environment, furnish, kill
from bench.samples import Door, Pushed

FOR_SECONDS, INTERVAL_SECONDS = 20, 5
# Who is killed at the end of each stretch, and for how many seconds it is killed again as soon as it is back.
STRETCHES: tuple[tuple[tuple[str, ...], float], ...] = (
    (("evaluator",), 0.0), (("worker",), 0.0), (("evaluator", "worker"), 0.0), (("postgres",), 0.0),
    (("evaluator", "worker"), 6.0),
)  # fmt: skip
QUICK_STRETCHES = STRETCHES[2:4]
SHARES = (0.9, 0.6, 0.3)
# How many alerts, and in how many rounds: the supervisor waits longer before each start, so a round takes up to 30 s.
CYCLES, QUICK_CYCLES = (1_000, 10), (100, 2)
BY_RULE_EVERY = 3
HASTY = (1, 7)  # Of fifteen: one in five of those at the door.
VICTIMS = ("dispatcher", "worker", "evaluator")
LATE_SECONDS = 60.0
# The time a product has to see a pushed sample, and the poll to see its answer.
NOTICE_SECONDS = 1.0
SETTINGS = {"STORM_CONTROL_ENABLED": "false", "OUTBOUND_ALLOWED": "127.0.0.0/8:*"}
WANTED = {
    "scopes": ["ingest:alerts", "ingest:metrics"],
    "policies": [{"name": "kills", "triggers": [{}], "steps": [{"delay_seconds": 0, "channels": ["kills"]}]}],
    "groups": [
        {
            "name": "kills-timers",
            "interval_seconds": INTERVAL_SECONDS,
            "rules": [
                {"name": "Held", "spec": {"expr": "kills_held > 0"}, "severity": "high", "for_seconds": FOR_SECONDS}
            ],
        },
        {
            "name": "kills-ends",
            "interval_seconds": 1,
            "rules": [{"name": "Ends", "spec": {"expr": "kills_ends > 0"}, "severity": "high"}],
        },
    ],
}
TIMERS = """
    SELECT s.labels->>'id', extract(epoch FROM s.active_at)::float8, extract(epoch FROM s.fired_at)::float8
    FROM alerts_rulestate s JOIN alerts_rule r ON r.id = s.rule_id WHERE r.name = 'Held'
"""
REASONS = """
    SELECT a.labels->>'id' FROM alerts_alert a WHERE a.labels->>'id' = ANY(%s) AND a.state = 'resolved' AND NOT EXISTS (
        SELECT FROM alerts_notification n WHERE n.alert_id = a.id
        AND NOT (n.state IN ('cancelled', 'failed') AND (n.cancelled_because || n.last_error) <> '')
    )
"""

# Beginnings whose sender died, or was cut off, while it sent them: nobody can know whether they arrived.
CUT_OFF = """
    SELECT DISTINCT a.labels->>'id' FROM alerts_alert a JOIN alerts_notification n ON n.alert_id = a.id
    LEFT JOIN LATERAL (
        SELECT count(*) AS kept, bool_or(d.outcome = 'unknown') AS unknown
        FROM alerts_deliveryattempt d WHERE d.notification_id = n.id
    ) AS tries ON true
    WHERE a.labels->>'id' = ANY(%s) AND n.kind = 'fire' AND (n.attempts > tries.kept OR tries.unknown)
"""


@dataclass
class Bench:
    """A furnished console, its receiver and the samples it gets."""

    console: Console
    receivers: Receivers
    address: str
    token: str
    pushed: Pushed
    kills: Counter[str] = field(default_factory=Counter)
    dice: random.Random = field(default_factory=lambda: random.Random(5))

    def strike(self, roles: tuple[str, ...]) -> None:
        """Kill all processes of some roles."""
        found = by_role(self.console)
        for role in roles:
            self.kills[role] += bool(kill(found.get(role, [])))

    def keep_down(self, roles: tuple[str, ...], seconds: float) -> None:
        """Kill some roles, and again whenever they are back, for so many seconds."""
        until = time.monotonic() + seconds
        self.strike(roles)
        while time.monotonic() < until:
            time.sleep(0.2)
            for role in roles:
                kill(by_role(self.console).get(role, []))

    def told(self) -> dict[str, list[Receipt]]:
        """Return what came for each alert that has an id, in the order it came."""
        found: dict[str, list[Receipt]] = defaultdict(list)
        for receipt in list(self.receivers.receipts):
            name = receipt.payload.get("labels", {}).get("id")
            if name:
                found[name].append(receipt)
        return found


def of_kind(receipts: list[Receipt], *kinds: str) -> dict[str, float]:
    """Return the messages of these kinds by their keys, each with when it first came."""
    first: dict[str, float] = {}
    for receipt in receipts:
        if receipt.payload["kind"] in kinds:
            first.setdefault(receipt.key, receipt.at)
    return first


def wait_until(done: Callable[[], bool], seconds: float) -> None:
    """Wait until it is done, for at most so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not done():
        time.sleep(0.2)


# Timers.


@dataclass
class Timers:
    """Which beginnings and firings the console ever kept for each series."""

    raised_at: dict[str, float] = field(default_factory=dict)
    active_at: dict[str, set[float]] = field(default_factory=lambda: defaultdict(set))
    fired_at: dict[str, set[float]] = field(default_factory=lambda: defaultdict(set))
    vanished: set[str] = field(default_factory=set)

    def look(self, address: str) -> None:
        """Read where the timers stand now; a timer that was there and is gone has vanished."""
        with psycopg.connect(address, connect_timeout=2) as connection:
            rows = connection.execute(TIMERS).fetchall()
        there = {name for name, active_at, _ in rows if active_at is not None}
        self.vanished |= set(self.active_at) - there
        for name, active_at, fired_at in rows:
            for known, at in ((self.active_at, active_at), (self.fired_at, fired_at)):
                if at is not None:
                    known[name].add(at)

    @contextmanager
    def watched(self, address: str) -> Iterator[None]:
        """Look twice a second until left; while PostgreSQL is down there is nothing to see."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(0.5):
                with suppress(psycopg.Error):
                    self.look(address)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def run_timers(bench: Bench, stretches: tuple[tuple[tuple[str, ...], float], ...]) -> Timers:
    """Raise series and kill on schedule, then wait for the last alert; returns what was seen."""
    timers = Timers()
    began = time.monotonic()

    def at(seconds: float) -> None:
        time.sleep(max(0.0, began + seconds - time.monotonic()))

    with timers.watched(bench.address):
        for number, (roles, down_seconds) in enumerate(stretches):
            for share in SHARES:
                at((number + SHARES[0] - share) * FOR_SECONDS)
                name = f"held-{number}-{share * 100:.0f}"
                bench.pushed.put({"__name__": "kills_held", "id": name}, 1)
                timers.raised_at[name] = bench.pushed.push_until_taken()
            at((number + SHARES[0]) * FOR_SECONDS)
            bench.keep_down(roles, down_seconds)
        wait_until(
            lambda: all(of_kind(bench.told().get(name, []), "fire") for name in timers.raised_at),
            FOR_SECONDS + LATE_SECONDS,
        )
    timers.look(bench.address)
    return timers


def judge_timers(report: Report, bench: Bench, timers: Timers) -> int:
    """Print how the timers fared; return the number of faults."""
    names = list(timers.raised_at)
    told = bench.told()
    resets = [n for n in names if len(timers.active_at[n]) > 1 or len(timers.fired_at[n]) > 1 or n in timers.vanished]
    fires = {name: of_kind(told.get(name, []), "fire", "repeat") for name in names}
    never = [name for name in names if not fires[name] or not timers.fired_at[name]]
    good = [name for name in names if name not in never]
    due = {name: min(timers.active_at[name]) + FOR_SECONDS for name in good}
    off = {name: max(timers.fired_at[name]) - due[name] for name in good}
    began = {name: min(timers.active_at[name]) - timers.raised_at[name] for name in good}
    pages = {name: min(fires[name].values()) - due[name] for name in good}
    early = [name for name in good if off[name] < 0]
    late = [name for name in good if off[name] > INTERVAL_SECONDS or began[name] > INTERVAL_SECONDS + NOTICE_SECONDS]
    again = [name for name in names if len(fires[name]) > 1]
    ended = [name for name in names if of_kind(told.get(name, []), "resolve")]
    for label, wrong in (
        ("begun anew or lost", resets), ("never told", never), ("fired too early", early),
        (f"off by more than {INTERVAL_SECONDS} s", late), ("told again", again), ("told to have ended", ended),
    ):  # fmt: skip
        report.figure(f"timers: {label}", len(wrong), f"of {len(names)}")
        if wrong:
            report.note(f"{label}: {', '.join(wrong)}")
    if good:
        report.figure("timers: first sample to the beginning of the timer, most", max(began.values()), "s")
        report.figure("timers: firing after it was due, by the evaluation's time, most", max(off.values()), "s")
        report.figure(
            "timers: page after it was due, by the receiver's clock, median", statistics.median(pages.values()), "s"
        )
        report.figure("timers: the same, most", max(pages.values()), "s")
    return sum(map(len, (resets, never, early, late, again, ended)))


# Ends.


@dataclass
class Cycle:
    """One alert that begins and ends: how, and when the console had said yes to each."""

    name: str
    by_rule: bool
    hasty: bool
    began_at: float = 0.0
    ended_at: float = 0.0


def post(bench: Bench, cycles: list[Cycle], *, over: bool) -> float:
    """Send the beginning or the end of some alerts to the door until it says yes; return when that was."""
    while True:
        now = dt.datetime.now(dt.UTC)
        ends_at = now if over else now + dt.timedelta(hours=2)
        alerts = [
            {"labels": {"alertname": "Ends", "id": cycle.name, "severity": "high"}, "endsAt": ends_at.isoformat()}
            for cycle in cycles
        ]
        with suppress(httpx.HTTPError):
            headers = {"Authorization": f"Bearer {bench.token}"}
            if httpx.post(f"{bench.console.url}/api/v2/alerts", json=alerts, headers=headers, timeout=15).is_success:
                return time.time()
        time.sleep(0.2)


def change(bench: Bench, cycles: list[Cycle], *, over: bool) -> None:
    """Let some alerts begin or end, with kills right after and a moment later."""
    for cycle in cycles:
        if cycle.by_rule:
            bench.pushed.put({"__name__": "kills_ends", "id": cycle.name}, 0 if over else 1)
    pushed_at = bench.pushed.push_until_taken()
    posted = [cycle for cycle in cycles if not cycle.by_rule]
    posted_at = post(bench, posted, over=over) if posted else 0.0
    for cycle in cycles:
        at = pushed_at if cycle.by_rule else posted_at
        cycle.began_at, cycle.ended_at = (cycle.began_at, at) if over else (at, cycle.ended_at)


def strikes(bench: Bench) -> None:
    """Kill a random choice of hands now, and another one a moment later."""
    for most_seconds in (0.2, 1.5):
        time.sleep(bench.dice.uniform(0, most_seconds))
        bench.strike(tuple(bench.dice.sample(VICTIMS, bench.dice.randint(1, len(VICTIMS)))))


def run_round(bench: Bench, number: int, size: int) -> list[Cycle]:
    """Let a round of alerts begin and end under kills; returns them."""
    cycles = [
        Cycle(f"ends-{number:02d}-{place:03d}", not place % BY_RULE_EVERY, place % 15 in HASTY) for place in range(size)
    ]
    hasty, others = [c for c in cycles if c.hasty], [c for c in cycles if not c.hasty]

    def came(wanted: list[Cycle], kind: str) -> bool:
        told = bench.told()
        return all(of_kind(told.get(cycle.name, []), kind) for cycle in wanted)

    change(bench, cycles, over=False)
    bench.strike(("dispatcher", "worker"))
    change(bench, hasty, over=True)
    strikes(bench)
    wait_until(lambda: came(others, "fire"), LATE_SECONDS)
    change(bench, others, over=True)
    strikes(bench)
    wait_until(lambda: came(others, "resolve"), LATE_SECONDS)
    print(f"# round {number + 1}: killed so far {dict(bench.kills)}", flush=True)
    return cycles


def settled(bench: Bench, cycles: list[Cycle]) -> None:
    """Wait until every beginning that came has its end, and a little for what should not come."""

    def done() -> bool:
        told = bench.told()
        return all(
            not of_kind(told.get(cycle.name, []), "fire") or of_kind(told[cycle.name], "resolve") for cycle in cycles
        )

    wait_until(done, LATE_SECONDS)
    time.sleep(5.0)


def judge_ends(report: Report, bench: Bench, cycles: list[Cycle]) -> int:
    """Print how the ends fared; return the number of faults."""
    told = bench.told()
    fires = {cycle.name: of_kind(told.get(cycle.name, []), "fire", "repeat") for cycle in cycles}
    ends = {cycle.name: of_kind(told.get(cycle.name, []), "resolve") for cycle in cycles}
    untold = [c.name for c in cycles if not fires[c.name]]
    with psycopg.connect(bench.address) as connection:
        explained = {str(row[0]) for row in connection.execute(REASONS, [untold])}
        cut_off = {str(row[0]) for row in connection.execute(CUT_OFF, [untold])}
    hasty = {cycle.name for cycle in cycles if cycle.hasty}
    # Over before it could be told again, and its end was told because the beginning may have arrived.
    doubtful = {name for name in untold if ends[name]} & hasty & cut_off
    both = [cycle for cycle in cycles if fires[cycle.name] and ends[cycle.name]]
    late = sorted(min(ends[cycle.name].values()) - cycle.ended_at for cycle in both)
    faults = {
        "beginning lost": sorted(set(untold) - (hasty & explained) - doubtful),
        "end missing": [name for name in fires if fires[name] and not ends[name]],
        "told twice to have begun (two ids)": [name for name in fires if len(fires[name]) > 1],
        "told twice to have ended (two ids)": [name for name in ends if len(ends[name]) > 1],
        "end before or without its beginning": [
            name
            for name, of in ends.items()
            if of and name not in doubtful and min(of.values()) < min(fires[name].values(), default=math.inf)
        ],
        "beginning again after its end": [c.name for c in both if _last_word(told[c.name]) != "resolve"],
        f"end later than {LATE_SECONDS:g} s": [
            c.name for c in both if min(ends[c.name].values()) - c.ended_at > LATE_SECONDS
        ],
    }  # fmt: skip
    report.figure("ends: alerts that began and ended", len(cycles), f"({sum(c.by_rule for c in cycles)} by the rule)")
    report.figure("ends: told whole", len(both), "alerts")
    report.figure(
        "ends: over before they were told, with the reason kept", len(set(untold) & hasty & explained), "alerts"
    )
    report.figure("ends: only the end arrived, the beginning was cut off while it was sent", len(doubtful), "alerts")
    for label, wrong in faults.items():
        report.figure(f"ends: {label}", len(wrong), "alerts")
        if wrong:
            report.note(f"{label}: {', '.join(wrong[:20])}")
    copies = sum(len(of) for of in told.values()) - sum(len({r.key for r in of}) for of in told.values())
    report.figure("copies with the same id", copies, "messages")
    if len(late) > 1:
        cuts = statistics.quantiles(late, n=100, method="inclusive")
        for label, value in (("p50", cuts[49]), ("p99", cuts[98]), ("most", late[-1])):
            report.figure(f"ends: end told after the sender's word, {label}", value, "s")
    return sum(map(len, faults.values()))


def _last_word(receipts: list[Receipt]) -> str:
    """Return of which kind the last message is."""
    return str(receipts[-1].payload["kind"])


def main() -> int:
    """Run both parts; ends with 1 when anything was lost, repeated or late."""
    report = report_from_arguments("rule_kills", __doc__ or "")
    with receiving() as receivers, running_console(SETTINGS) as console:
        env = environment(console)
        made = furnish(env, {**WANTED, "channels": [{"name": "kills", "url": receivers.url("kills")}]})
        pushed = Pushed([Door(console.url, made["token"])])
        pushed.put({"__name__": "kills_held", "id": "quiet"}, 0)
        pushed.put({"__name__": "kills_ends", "id": "quiet"}, 0)
        bench = Bench(console, receivers, env["DATABASE_URL"], made["token"], pushed)
        with pushed.repeating(1.0):
            timers = run_timers(bench, QUICK_STRETCHES if report.quick else STRETCHES)
            report.note(f"timers: killed {dict(bench.kills)}")
            bench.kills.clear()
            alerts, rounds = QUICK_CYCLES if report.quick else CYCLES
            cycles = [cycle for number in range(rounds) for cycle in run_round(bench, number, alerts // rounds)]
            settled(bench, cycles)
            report.note(f"ends: killed {dict(bench.kills)}; pushes not taken: {pushed.refused}")
            faults = judge_timers(report, bench, timers) + judge_ends(report, bench, cycles)
    report.finish()
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
