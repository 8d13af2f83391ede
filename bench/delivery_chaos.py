"""Alerts through the door while everything is being killed: what was said yes to must arrive, whatever the channel.

A client posts alerts at 150/s to POST /api/v2/alerts and keeps the ids it got a 200 for; it sends again what it got no
200 for, as every client of Alertmanager does. They go to webhooks, Slack, mail and GitHub: look-alikes on loopback with
the quotas of the real ones. Meanwhile a random one of dispatcher, worker and web is killed with -9 every two seconds,
PostgreSQL twice, and Redis loses all it has once. Receivers fail 3 % and leave 1 % hanging; Slack, mail and GitHub do
the work of 2 % and cut the connection. Then the client's list is compared with what the receivers hold. Durability is
on, storm control is off.

- lost: said yes to, not received, and no terminal state with a reason in the console.
- duplicates: of one idempotency key, beyond the first: receipts of a webhook that it did not refuse; with the others
  what a person sees twice: a second Slack message, a second mail, a second issue.
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
from bench.tellers import Teller, Told, repeated, tellers

# How many alerts each kind of channel gets: what its receiver's quota lets through in the time of the run.
ALERTS = {"webhook": 2_000, "slack": 100, "mail": 100, "github": 60}
QUICK_ALERTS = {"webhook": 600, "slack": 8, "mail": 10, "github": 6}
PER_SECOND = 150.0
KILL_EVERY_SECONDS = 2.0
VICTIMS = ("dispatcher", "worker", "web")
CHANNELS = 8
SENDERS = 16
# So long there are kills: most of what Slack, mail and GitHub take in their own time is sent under them.
CHAOS_SECONDS = 75.0
QUICK_CHAOS_SECONDS = 14.0
# Longer nothing new is sent, and nothing is waited for: on a busy machine the run must end all the same.
SEND_SECONDS = 120.0
DRAIN_SECONDS = 240.0
QUICK_DRAIN_SECONDS = 40.0
SETTINGS = {"STORM_CONTROL_ENABLED": "false", "OUTBOUND_ALLOWED": "127.0.0.0/8:*", "TELEMETRY_DURABLE": "true"}


@dataclass
class Client:
    """Sends alerts and remembers when each was said yes to."""

    url: str
    token: str
    until: float
    receiver_of: dict[str, str]
    acked_at: dict[str, float] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    waiting: "queue.SimpleQueue[str | None]" = field(default_factory=queue.SimpleQueue)

    def offer(self) -> None:
        """Put ids on the queue at the rate, then one end mark a sender."""
        began = time.monotonic()
        for number, name in enumerate(self.receiver_of):
            time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
            self.waiting.put(name)
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
        receiver = self.receiver_of[name]
        # What waits for a quota is not late, so it is not urgent: an urgent one would alarm after a minute.
        severity = "critical" if receiver.startswith("r") else "high"
        labels = {"alertname": "Chaos", "id": name, "receiver": receiver, "severity": severity}
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
    stopping: threading.Event = field(default_factory=threading.Event)
    kills: Counter[str] = field(default_factory=Counter)
    dice: random.Random = field(default_factory=lambda: random.Random(11))

    def run(self) -> None:
        """Kill a role every two seconds, PostgreSQL at a third and two thirds, and empty Redis at half time."""
        began = time.monotonic()
        victims: list[str] = []
        special = [(1 / 3, self._postgres), (1 / 2, self._redis), (2 / 3, self._postgres)]
        while not self.stopping.wait(KILL_EVERY_SECONDS) and time.monotonic() < began + self.seconds:
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


def plan_of(counts: dict[str, int]) -> dict[str, str]:
    """Return which alert goes to which receiver, in an order in which the kinds are mixed."""
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    random.Random(3).shuffle(kinds)
    return {
        f"a{number:05d}": f"r{number % CHANNELS}" if kind == "webhook" else kind for number, kind in enumerate(kinds)
    }


def furnished(console: Console, receivers: Receivers, others: list[Teller]) -> tuple[str, dict[str, str]]:
    """Give every receiver a channel and a policy; returns the client's token and the signing secrets."""
    hooks = [{"name": f"r{number}", "url": receivers.url(f"r{number}")} for number in range(CHANNELS)]
    channels = [*hooks, *({"name": teller.name, **teller.channel} for teller in others)]
    made = furnish(
        environment(console),
        {
            "scopes": ["ingest:alerts"],
            "channels": channels,
            "policies": [
                {
                    "name": channel["name"],
                    "triggers": [{"receiver": [channel["name"]]}],
                    "steps": [{"delay_seconds": 0, "channels": [channel["name"]]}],
                }
                for channel in channels
            ],
        },
    )
    return made["token"], made["secrets"]


def drive(chaos: Chaos, client: Client) -> float:
    """Send everything under chaos; returns how long sending took, when the kills are over too."""
    senders = [threading.Thread(target=client.work) for _ in range(SENDERS)]
    senders.append(threading.Thread(target=client.offer))
    killer = threading.Thread(target=chaos.run)
    began = time.monotonic()
    for thread in [*senders, killer]:
        thread.start()
    for thread in senders:
        thread.join()
    took = time.monotonic() - began
    killer.join()
    return took


def hooked(receivers: Receivers) -> list[Told]:
    """Return what the webhook receivers took; the console tells of its own troubles too, with no id."""
    return [
        Told(receipt.at, receipt.key, str(receipt.payload.get("labels", {}).get("id") or ""))
        for receipt in list(receivers.receipts)
        if receipt.answer != 500
    ]


def first_told(told: list[Told]) -> dict[str, float]:
    """Return when each alert was first told of."""
    first: dict[str, float] = {}
    for each in told:
        if each.alert:
            first.setdefault(each.alert, each.at)
    return first


def drain(client: Client, everybody: list[Teller], seconds: float) -> float:
    """Wait until everything said yes to has arrived; returns how long that took."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        arrived = {name for teller in everybody for name in first_told(teller.told())}
        if not set(client.acked_at) - arrived:
            break
        time.sleep(0.5)
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


def measure(report: Report, teller: Teller, client: Client, env: dict[str, str]) -> tuple[int, int]:
    """Compare the client's list with what one kind of receiver holds; returns how many were lost, and repeats."""
    told = teller.told()
    first = first_told(told)
    kind_of = {name: "webhook" if receiver.startswith("r") else receiver
               for name, receiver in client.receiver_of.items()}  # fmt: skip
    owed = {name for name in client.acked_at if kind_of[name] == teller.name}
    missing = owed - set(first)
    lost = unexplained(env, missing) if missing else []
    most, seen_twice = repeated(told)
    late = sorted(max(0.0, first[name] - client.acked_at[name]) for name in owed if name in first)
    cuts = statistics.quantiles(late, n=100) if len(late) > 1 else [0.0] * 99
    seen = {"webhook": "extra receipts", "slack": "second messages", "mail": "second mails", "github": "second issues"}
    for label, value, unit in (
        ("owed", len(owed), "alerts"), ("delivered", len(owed) - len(missing), "alerts"),
        ("lost (no receipt and no terminal reason)", len(lost), "alerts"),
        ("receipts per key, most", most, "messages"), (seen[teller.name], seen_twice, "messages"),
        ("quota violations seen by the receiver", teller.violations(), "calls"),
        ("yes to first receipt, p50", cuts[49], "s"), ("yes to first receipt, p99", cuts[98], "s"),
        ("yes to first receipt, longest", late[-1] if late else 0.0, "s"),
    ):  # fmt: skip
        report.figure(f"{teller.name}: {label}", value, unit)
    if lost:
        report.note(f"lost: {', '.join(lost[:20])}")
    return len(lost), most


def main() -> int:
    """Run the chaos; ends with 1 when an alert was lost or a key arrived more than three times."""
    report = report_from_arguments("delivery_chaos", __doc__ or "")
    plan = plan_of(QUICK_ALERTS if report.quick else ALERTS)
    with (
        receiving(fail=0.03, hang=0.01) as receivers,
        tellers() as others,
        running_console(SETTINGS) as console,
    ):
        env = environment(console)
        token, secrets = furnished(console, receivers, others)
        everybody = [Teller("webhook", {}, lambda: hooked(receivers), lambda: 0), *others]
        chaos = Chaos(console, env["REDIS_URL"], QUICK_CHAOS_SECONDS if report.quick else CHAOS_SECONDS)
        client = Client(console.url, token, time.monotonic() + chaos.seconds + SEND_SECONDS, plan)
        took = drive(chaos, client)
        drained = drain(client, everybody, QUICK_DRAIN_SECONDS if report.quick else DRAIN_SECONDS)
        report.note(f"killed: {dict(chaos.kills)}; not a yes, sent again: {dict(client.refused)}")
        report.figure("accepted per second", len(client.acked_at) / took, "alerts/s")
        found = [measure(report, teller, client, env) for teller in everybody]
        report.figure("waited for the last one after the last kill", drained, "s")
        report.figure("webhook: receipts with a bad signature", badly_signed(receivers, secrets), "messages")
        tries = hands(env)
        for hand, number in sorted(tries.items()):
            report.figure(f"tries by {hand or 'nobody'}", 100.0 * number / sum(tries.values()), "%")
    report.finish()
    return 1 if any(lost or most > 3 for lost, most in found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
