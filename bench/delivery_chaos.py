"""Alerts through the door while everything is being killed: what was said yes to must arrive.

A client posts alerts at 150/s to POST /api/v2/alerts and keeps the ids it got a 200 for; it sends again what it got no
200 for, as every client of Alertmanager does. Meanwhile a random one of dispatcher, worker and web is killed with -9
every two seconds, PostgreSQL twice, and Redis loses all it has once. Receivers fail 3 % and leave 1 % hanging. Then the
client's list is compared with the receivers' log. Durability is on, storm control is off.

- lost: said yes to, not received, and no terminal state with a reason in the console.
- duplicates: receipts a receiver did not refuse, of one idempotency key, beyond the first.
"""

import datetime as dt
import queue
import random
import statistics
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import psycopg
import redis
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bench.harness import Console, Report, report_from_arguments, running_console
from bench.receivers import Receivers, receiving
from bench.roles import by_role, environment, furnish, kill

ALERTS = 4_500
QUICK_ALERTS = 1_500
PER_SECOND = 150.0
KILL_EVERY_SECONDS = 2.0
VICTIMS = ("dispatcher", "worker", "web")
CHANNELS = 8
SENDERS = 16
# Longer than this nobody is killed, and nothing new is sent: on a busy machine the run must end all the same.
CHAOS_SECONDS = 120.0
QUICK_CHAOS_SECONDS = 16.0
SEND_SECONDS = 60.0
DRAIN_SECONDS = 90.0
QUICK_DRAIN_SECONDS = 18.0
SETTINGS = {"STORM_CONTROL_ENABLED": "false", "OUTBOUND_ALLOWED": "127.0.0.0/8:*", "TELEMETRY_DURABLE": "true"}


@dataclass
class Client:
    """Sends alerts and remembers when each was said yes to."""

    url: str
    token: str
    until: float
    acked_at: dict[str, float] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    waiting: "queue.SimpleQueue[str | None]" = field(default_factory=queue.SimpleQueue)

    def offer(self, count: int) -> None:
        """Put ids on the queue at the rate, then one end mark a sender."""
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
            self.waiting.put(f"a{number:05d}")
        for _ in range(SENDERS):
            self.waiting.put(None)

    def work(self) -> None:
        """Send until the end mark; what got no yes is sent again."""
        with httpx.Client(timeout=5.0, headers={"Authorization": f"Bearer {self.token}"}) as http:
            while (name := self.waiting.get()) is not None:
                while time.monotonic() < self.until and not self._send(http, name):
                    time.sleep(0.2)

    def _send(self, http: httpx.Client, name: str) -> bool:
        ends_at = dt.datetime.fromtimestamp(time.time() + 7200, dt.UTC).isoformat()
        labels = {"alertname": "Chaos", "id": name, "receiver": f"r{int(name[1:]) % CHANNELS}", "severity": "critical"}
        try:
            reply = http.post(f"{self.url}/api/v2/alerts", json=[{"labels": labels, "endsAt": ends_at}])
        except httpx.HTTPError as error:
            self.refused[type(error).__name__] += 1
            return False
        if reply.status_code != httpx.codes.OK:
            self.refused[str(reply.status_code)] += 1
            return False
        self.acked_at[name] = time.time()
        return True


@dataclass
class Chaos:
    """Kills on a schedule until told to stop."""

    console: Console
    redis_url: str
    seconds: float
    longest_seconds: float
    stopping: threading.Event = field(default_factory=threading.Event)
    kills: Counter[str] = field(default_factory=Counter)
    dice: random.Random = field(default_factory=lambda: random.Random(11))

    def run(self) -> None:
        """Kill a role every two seconds, PostgreSQL at a third and two thirds, and empty Redis at half time."""
        began = time.monotonic()
        victims: list[str] = []
        special = [(1 / 3, self._postgres), (1 / 2, self._redis), (2 / 3, self._postgres)]
        while not self.stopping.wait(KILL_EVERY_SECONDS) and time.monotonic() < began + self.longest_seconds:
            passed = (time.monotonic() - began) / self.seconds
            while special and passed >= special[0][0]:
                special.pop(0)[1]()
            # In rounds of random order, so that even a short run meets them all.
            victims = victims or self.dice.sample(VICTIMS, len(VICTIMS))
            role = victims.pop()
            if kill(by_role(self.console).get(role, [])):
                self.kills[role] += 1
        for _, act in special:
            act()

    def _postgres(self) -> None:
        self.kills["postgres"] += bool(kill(by_role(self.console).get("postgres", [])))

    def _redis(self) -> None:
        with suppress(redis.RedisError), redis.Redis.from_url(self.redis_url) as client:
            self.kills["redis flush"] += bool(client.flushall())


def furnished(console: Console, receivers: Receivers) -> tuple[str, dict[str, str]]:
    """Give every receiver a channel and a policy; returns the client's token and the signing secrets."""
    names = [f"r{number}" for number in range(CHANNELS)]
    made = furnish(
        environment(console),
        {
            "scopes": ["ingest:alerts"],
            "channels": [{"name": name, "url": receivers.url(name)} for name in names],
            "policies": [
                {
                    "name": name,
                    "triggers": [{"receiver": [name]}],
                    "steps": [{"delay_seconds": 0, "channels": [name]}],
                }
                for name in names
            ],
        },
    )
    return made["token"], made["secrets"]


def drive(chaos: Chaos, client: Client, count: int) -> float:
    """Send everything under chaos; returns how long it took."""
    threads = [threading.Thread(target=client.work) for _ in range(SENDERS)]
    threads += [threading.Thread(target=client.offer, args=(count,)), threading.Thread(target=chaos.run)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads[:-1]:
        thread.join()
    took = time.monotonic() - began
    chaos.stopping.set()
    threads[-1].join()
    return took


def received_at(receivers: Receivers) -> dict[str, float]:
    """Return when each alert first reached its receiver in a try it did not refuse."""
    first: dict[str, float] = {}
    for receipt in list(receivers.receipts):
        # The console tells of its own troubles too, such as a receiver that keeps failing.
        name = receipt.payload.get("labels", {}).get("id")
        if receipt.answer != 500 and name:
            first.setdefault(name, receipt.at)
    return first


def drain(client: Client, receivers: Receivers, seconds: float) -> float:
    """Wait until everything said yes to has arrived; returns how long that took."""
    began = time.monotonic()
    while time.monotonic() < began + seconds and set(client.acked_at) - set(received_at(receivers)):
        time.sleep(0.25)
    return time.monotonic() - began


def unexplained(env: dict[str, str], missing: set[str]) -> list[str]:
    """Return the alerts among the missing ones that have no terminal state with a reason."""
    question = """
        SELECT a.labels->>'id', count(n.id) FILTER (WHERE n.state <> 'done'
            AND (n.state = 'failed' AND n.last_error <> '' OR n.state = 'cancelled' AND n.cancelled_because <> ''))
        FROM alerts_alert a LEFT JOIN alerts_notification n ON n.alert_id = a.id
        WHERE a.labels->>'id' = ANY(%s) GROUP BY 1
    """
    with psycopg.connect(env["DATABASE_URL"]) as connection:
        explained = {name for name, reasons in connection.execute(question, [list(missing)]) if reasons}
    return sorted(missing - explained)


def hands(env: dict[str, str]) -> dict[str, int]:
    """Return how many tries to send each hand made, by the attempt log."""
    with psycopg.connect(env["DATABASE_URL"]) as connection:
        rows = connection.execute("SELECT hand, count(*) FROM alerts_deliveryattempt GROUP BY 1").fetchall()
    return {str(hand): int(count) for hand, count in rows}


def badly_signed(receivers: Receivers, secrets: dict[str, str]) -> int:
    """Count receipts the published library does not accept."""
    bad = 0
    for receipt in receivers.receipts:
        try:
            Webhook(secrets[receipt.path[1:]]).verify(receipt.body.decode(), receipt.headers)
        except WebhookVerificationError:
            bad += 1
    return bad


def measure(report: Report, client: Client, receivers: Receivers, env: dict[str, str]) -> int:
    """Compare the client's list with the receivers' log; returns how many were lost."""
    first = received_at(receivers)
    missing = set(client.acked_at) - set(first)
    lost = unexplained(env, missing) if missing else []
    keys = Counter(receipt.key for receipt in receivers.receipts if receipt.answer != 500)
    late = sorted(max(0.0, first[name] - at) for name, at in client.acked_at.items() if name in first)
    cuts = statistics.quantiles(late, n=100) if len(late) > 1 else [0.0] * 99
    report.figure("alerts said yes to", len(client.acked_at), "alerts")
    report.figure("lost (no receipt and no terminal reason)", len(lost), "alerts")
    report.figure("given up with a reason", len(missing) - len(lost), "alerts")
    report.figure("extra receipts", sum(keys.values()) - len(keys), "messages")
    report.figure("receipts per key, most", max(keys.values(), default=0), "messages")
    report.figure("yes to first receipt, p50", cuts[49], "s")
    report.figure("yes to first receipt, p99", cuts[98], "s")
    report.figure("yes to first receipt, longest", late[-1] if late else 0.0, "s")
    if lost:
        report.note(f"lost: {', '.join(lost[:20])}")
    return len(lost)


def main() -> int:
    """Run the chaos; ends with 1 when an alert was lost or a key arrived more than three times."""
    report = report_from_arguments("delivery_chaos", __doc__ or "")
    count = QUICK_ALERTS if report.quick else ALERTS
    with receiving(fail=0.03, hang=0.01) as receivers, running_console(SETTINGS) as console:
        env = environment(console)
        token, secrets = furnished(console, receivers)
        chaos = Chaos(
            console, env["REDIS_URL"], count / PER_SECOND, QUICK_CHAOS_SECONDS if report.quick else CHAOS_SECONDS
        )
        client = Client(console.url, token, time.monotonic() + chaos.longest_seconds + SEND_SECONDS)
        took = drive(chaos, client, count)
        drained = drain(client, receivers, QUICK_DRAIN_SECONDS if report.quick else DRAIN_SECONDS)
        report.note(f"killed: {dict(chaos.kills)}; not a yes, sent again: {dict(client.refused)}")
        report.figure("accepted per second", len(client.acked_at) / took, "alerts/s")
        lost = measure(report, client, receivers, env)
        report.figure("waited for the last one", drained, "s")
        report.figure("receipts with a bad signature", badly_signed(receivers, secrets), "messages")
        tries = hands(env)
        for hand, number in sorted(tries.items()):
            report.figure(f"tries by {hand or 'nobody'}", 100.0 * number / sum(tries.values()), "%")
    report.finish()
    most = report.figures["receipts per key, most"]["value"]
    return 1 if lost or most > 3 else 0


if __name__ == "__main__":
    raise SystemExit(main())
