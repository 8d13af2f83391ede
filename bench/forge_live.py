"""How long it takes until people see what a pipeline says: commit to painted, 20 viewers of a run, 50 events a second.

The console is a whole one of its own; events go through the real door, first as the SDK sends them (what came up in a
quarter of a second is one request), then each in a request of its own as long as answers come in time, together with
the ones that fell due meanwhile where one was slow. The viewers are real pages, each in a context of its own of one
headless Chromium, half of them on the run's overview, half on its log, so that what is measured is in sight: by a
MutationObserver and the task after the next animation frame, an overview notes when its step counter had moved on, a
log when a line stood in it. All clocks are this host's.

When exactly a transaction committed is not known from outside: after its request was sent and before it was answered.
So there are two figures: since the answer (at most this early) and since the sending (everything but the wait for the
batch, which is the sender's).
"""

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from bench.harness import Console, Report, report_from_arguments, running_console
from bench.idle import cpu_seconds, memory_by_role, pss_mb
from bench.roles import environment, furnish

VIEWERS, EVENTS_PER_SECOND = 20, 50
ACCOUNTS = 4  # A person may have ten sockets open.
SECONDS = {True: 10.0, False: 60.0}
# The SDK's rows leave every quarter of a second.
WAYS = {"SDK batches": 0.25, "one event a request": 0.0}
SETTLE_SECONDS, OPEN_MS = 5.0, 120_000.0
GOAL_MS = 500.0
RUN = "forge-live"
TABS = ("?tab=overview", "?tab=logs")
NAMES = ("chromium", "chromium-browser", "google-chrome")
WATCH = """() => {
  const seen = { lines: [], steps: [], pulses: [], failed: 0 };
  window.benchSeen = seen;
  const real = window.fetch;
  window.fetch = async (...given) => {
    const begun = performance.now();
    const answer = await real(...given);
    if (String(given[0]).includes("/pulse/")) {
      seen.pulses.push(performance.now() - begun);
      if (answer.status >= 400) seen.failed += 1;
    }
    return answer;
  };
  const painted = (work) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => work(performance.timeOrigin + performance.now());
    channel.port2.postMessage(0);
  });
  const read = (records) => {
    const fresh = [];
    let step = null;
    for (const record of records) {
      for (const node of record.addedNodes) {
        if (node.nodeType !== 1) continue;
        for (const line of node.matches(".line") ? [node] : node.querySelectorAll(".line")) {
          const number = /event (\\d+) /.exec(line.textContent);
          if (number) fresh.push(Number(number[1]));
        }
      }
    }
    const counter = document.querySelector("[data-step]");
    if (counter && counter.dataset.step) step = Number(counter.dataset.step);
    if (fresh.length || step !== null) painted((at) => {
      for (const number of fresh) seen.lines.push([number, at]);
      if (step !== null && (!seen.steps.length || seen.steps.at(-1)[0] !== step)) seen.steps.push([step, at]);
    });
  };
  const wanted = { subtree: true, childList: true, attributes: true, attributeFilter: ["data-step"] };
  new MutationObserver(read).observe(document, wanted);
}"""


@dataclass
class Sender:
    """Posts events at a steady rate, and notes when each was sent and answered (Unix milliseconds)."""

    url: str
    token: str
    seconds: float
    every_seconds: float = 0.0
    first: int = 1
    sent_ms: dict[int, float] = field(default_factory=dict)
    answered_ms: dict[int, float] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    requests: int = 0

    def post(self, client: httpx.Client, rows: list[dict[str, Any]], batch: str) -> None:
        """Send one batch; what the door refuses is kept."""
        answer = client.post(
            f"{self.url}/api/v1/ingest/pipeline-events", json={"batch_id": batch, "rows": rows},
            headers={"Authorization": f"Bearer {self.token}"},
        )  # fmt: skip
        if answer.status_code != httpx.codes.OK or answer.json().get("rejected"):
            self.refused.append(answer.text[:300])

    def begin(self, client: httpx.Client) -> None:
        """Announce the run, its phase, a curve and a line, so that pages have something to open."""
        head = {"run_id": RUN, "phase": "forge_training"}
        self.post(client, [
            {**head, "event_id": "r", "kind": "run", "phase": "", "state": "running",
             "data": {"name": RUN, "model": "bench", "model_size": "25M"}},
            {**head, "event_id": "p", "kind": "phase", "state": "running", "step": 0, "total_steps": 1_000_000},
            {**head, "event_id": "m", "kind": "metrics", "step": 0, "metrics": {"loss": 2.5, "success_rate": 0.6}},
            {**head, "event_id": "l", "kind": "log", "message": "begins"},
        ], "begin")  # fmt: skip

    def event(self, number: int) -> dict[str, Any]:
        """Return the event of a number: of ten, five lines, three points of two curves, two words on progress."""
        row: dict[str, Any] = {"run_id": RUN, "event_id": f"e{number}", "phase": "forge_training"}
        place = number % 10
        if place < 5:
            self.kinds[number] = "line"
            return row | {"kind": "log", "message": f"event {number} of the bench, with a text of a usual length"}
        if place < 8:
            self.kinds[number] = "point"
            values = {"loss": 2.5 / (1 + number / 100), "success_rate": 0.6 + (number % 7) / 70}
            return row | {"kind": "metrics", "step": number, "metrics": values}
        self.kinds[number] = "step"
        return row | {"kind": "progress", "step": number, "progress": min(0.99, number / 1e5)}

    def work(self) -> None:
        """Send what is due until the time is over: all of a lot together, and more where an answer was slow."""
        begun, number, last = time.monotonic(), self.first, self.first + int(self.seconds * EVENTS_PER_SECOND) - 1
        with httpx.Client(timeout=30) as client:
            while number <= last:
                came_up = (number - self.first) / EVENTS_PER_SECOND
                time.sleep(max(0.0, begun + came_up + self.every_seconds - time.monotonic()))
                due = self.first + int((time.monotonic() - begun) * EVENTS_PER_SECOND)
                numbers = range(number, max(number, min(due, last)) + 1)
                rows = [self.event(one) for one in numbers]
                self.sent_ms |= dict.fromkeys(numbers, time.time() * 1000)
                self.post(client, rows, f"e{number}")
                self.answered_ms |= dict.fromkeys(numbers, time.time() * 1000)
                self.requests += 1
                number = numbers[-1] + 1


def percentile(values: list[float], share: float) -> float:
    """Return a percentile by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def pages(browser: Browser, console: Console, cookies: list[dict[str, str]], path: str) -> list[Page]:
    """Open a page for each viewer, in a context of its own, and wait until it is live."""
    opened = []
    for number in range(VIEWERS):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
        own = cookies[number % len(cookies)]
        context.add_cookies([{"name": name, "value": value, "url": console.url} for name, value in own.items()])
        page = context.new_page()
        page.add_init_script(f"({WATCH})()")
        page.set_default_timeout(OPEN_MS)
        page.goto(console.url + path + TABS[number % 2], wait_until="domcontentloaded")
        page.locator("html[data-link=live]").wait_for(state="attached")
        opened.append(page)
    return opened


def delays(sender: Sender, seen: list[dict[str, Any]]) -> tuple[dict[str, list[float]], int]:
    """Return the delays of lines and steps in milliseconds, since answer and since sending, and how many were lost."""
    found: dict[str, list[float]] = {"line answered": [], "line sent": [], "step answered": [], "step sent": []}
    lost = 0
    steps = sorted(number for number, kind in sender.kinds.items() if kind == "step" and number in sender.answered_ms)
    lines = [number for number, kind in sender.kinds.items() if kind == "line" and number in sender.answered_ms]
    for place, one in enumerate(seen):
        if place % 2 == 0:
            _steps(sender, one, steps, found)
            continue
        painted = dict(reversed([(int(number), at) for number, at in one["lines"]]))
        for number in lines:
            if number not in painted:
                lost += 1
                continue
            found["line answered"].append(painted[number] - sender.answered_ms[number])
            found["line sent"].append(painted[number] - sender.sent_ms[number])
    return found, lost


def _steps(sender: Sender, one: dict[str, Any], steps: list[int], found: dict[str, list[float]]) -> None:
    for number in steps:
        # A step is seen when the counter shows it or one beyond it.
        at = next((at for step, at in one["steps"] if step >= number), None)
        if at is not None:
            found["step answered"].append(at - sender.answered_ms[number])
            found["step sent"].append(at - sender.sent_ms[number])


def run_path(console: Console, cookies: dict[str, str]) -> str:
    """Return the address of the run's page, read from the list as a person would."""
    text = httpx.get(f"{console.url}/forge/", cookies=cookies).text
    found = re.search(r'href="(/forge/runs/[0-9a-f-]{36}/)"', text)
    if found is None:
        raise RuntimeError("the run is not in the list")
    return found.group(1)


def browser_processes() -> list[psutil.Process]:
    """Return the browser's processes below this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "chrom" in process.name():
                found.append(process)
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser of this machine."""
    path = next((found for found in map(shutil.which, NAMES) if found), None)
    if path is None:
        raise SystemExit("no Chromium on this machine: `make browser` installs one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--lang=en-US", "--disable-gpu"]
        )
        yield browser
        browser.close()


def watch(report: Report, console: Console, browser: Browser) -> None:
    """Open the viewers, send, and report what they saw."""
    made = furnish(environment(console), {"scopes": ["ingest:pipelines"], "viewers": ACCOUNTS})
    seconds = SECONDS[report.quick]
    with httpx.Client(timeout=30) as client:
        Sender(console.url, made["token"], seconds).begin(client)
    path = run_path(console, made["viewers"][0])
    opened = pages(browser, console, made["viewers"], path)
    report.figure("viewers, each a page and a context of one headless Chromium", float(len(opened)))
    first = 1
    for way, every_seconds in WAYS.items():
        time.sleep(SETTLE_SECONDS)
        sender = Sender(console.url, made["token"], seconds, every_seconds, first)
        first += int(seconds * EVENTS_PER_SECOND)
        _pass(report, console, opened, sender, way)
    report.figure("memory of the console", sum(memory_by_role(console).values()), "MB PSS")
    report.figure("memory of the browser with all viewers", sum(map(pss_mb, browser_processes())), "MB PSS")


def _pass(report: Report, console: Console, opened: list[Page], sender: Sender, way: str) -> None:
    for page in opened:
        page.evaluate("Object.assign(window.benchSeen, { lines: [], steps: [], pulses: [], failed: 0 })")
    report.note(f"{way}: load average {os.getloadavg()[0]:.1f}")
    servers, browsers = console.tree(), browser_processes()
    before, begun = _used(servers, browsers), time.monotonic()
    hand = threading.Thread(target=sender.work)
    hand.start()
    while hand.is_alive():
        # Playwright's loop must turn, or pages wait for it.
        opened[0].wait_for_timeout(250)
    took = time.monotonic() - begun
    used = [(after - earlier) / took * 100 for after, earlier in zip(_used(servers, browsers), before, strict=True)]
    opened[0].wait_for_timeout(2_000)
    tell(report, sender, [page.evaluate("window.benchSeen") for page in opened], took, way)
    for words, percent in zip(("console with PostgreSQL and Valkey", "browser", "whole machine"), used, strict=True):
        report.figure(f"{way}: CPU of the {words}", percent, "% of one core")


def _used(servers: list[psutil.Process], browsers: list[psutil.Process]) -> list[float]:
    """Return the CPU seconds so far of the console, of the browser, and of everybody."""
    machine = psutil.cpu_times()
    return [cpu_seconds(servers), cpu_seconds(browsers), sum(machine) - machine.idle - machine.iowait]


def tell(report: Report, sender: Sender, seen: list[dict[str, Any]], took: float, way: str) -> None:
    """Report delays, losses and how often pages asked."""
    found, lost = delays(sender, seen)
    report.figure(f"{way}: events sent", len(sender.answered_ms) / took, "/s")
    report.figure(f"{way}: requests they were sent in", sender.requests / took, "/s")
    report.figure(f"{way}: events refused by the door", float(len(sender.refused)))
    for name, words in (("line", "log line"), ("step", "step counter")):
        for since in ("answered", "sent"):
            values = found[f"{name} {since}"]
            for share in (0.5, 0.95, 0.99):
                label = f"{way}: {words} painted, since {since}: p{share * 100:g}"
                peers = {"goal": GOAL_MS} if share == 0.95 else None
                report.figure(label, percentile(values, share), "ms", peers=peers)
    report.figure(f"{way}: lines times viewers measured", float(len(found["line answered"])))
    report.figure(f"{way}: lines a viewer never saw", float(lost))
    asked = [ms for one in seen for ms in one["pulses"]]
    report.figure(f"{way}: requests of a page", len(asked) / len(seen) / took, "/s")
    for share in (0.5, 0.95):
        report.figure(f"{way}: a page's request: p{share * 100:g}", percentile(asked, share), "ms")
    report.figure(f"{way}: a page's requests that failed", float(sum(one["failed"] for one in seen)))
    for text in sender.refused[:3]:
        report.note(f"refused: {text}")


def main() -> None:
    """Run the benchmark."""
    report = report_from_arguments("forge_live", "Commit to painted on the page of a run, with 20 viewers.")
    seconds = SECONDS[report.quick]
    report.note(f"{VIEWERS} viewers, {EVENTS_PER_SECOND} events/s for {seconds:g} s each way, all on this machine")
    report.note(
        f"load average of the machine at the start: {os.getloadavg()[0]:.1f}; this bench is not alone if it is high"
    )
    report.note("a line's commit lies between the sending and the answer of its request: both are given")
    with running_console() as console, chromium() as browser:
        watch(report, console, browser)
    report.finish()


if __name__ == "__main__":
    main()
