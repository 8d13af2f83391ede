"""The demo from its beginning to its end, about three minutes: what is done, in which order, and what is said of it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo import children
from demo.attacker import BLOCKED, Attack, attacks
from demo.children import Child
from demo.door import Away, Console, Refusal
from demo.narration import Narrator
from demo.receivers import SECOND_STEP_SECONDS, Receivers, Wiring
from demo.verdict import Verdict, judged
from demo.visitors import Line, Visit

RATE = 8.0
LOAD_SECONDS = 600.0
PAUSE_SECONDS = 2.0
FAILING_EFFORT, QUICK_EFFORT = 0.2, 0.25
BLOCK_SECONDS, ALERT_SECONDS, RESOLVE_SECONDS, SETTLE_SECONDS = 20.0, 30.0, 45.0, 20.0
PIPELINE_SECONDS = 400.0


@dataclass(slots=True)
class Story:
    """Everything the parts of the demo share."""

    console: Console
    sender_token: str
    narrator: Narrator
    receivers: Receivers
    folder: Path
    run: int
    quick: bool = False
    fail_phase: str = ""
    began_at: float = field(default_factory=time.time)
    running: list[Child] = field(default_factory=list)

    def tell(self) -> bool:
        """Do it all; tell whether everything came out as it should."""
        say = self.narrator.say
        say(
            "Chat, mail and issues listen on loopback; the console has channels and a policy for them.",
            "/setup/#channel",
        )
        port = self._service()
        say(f"A demo service answers on port {port}; visitors send it {RATE:g} requests a second.", "/explore/metrics/")
        pipeline = self._pipeline("a succeeding run", 1.0 if not self.quick else QUICK_EFFORT, self.fail_phase)
        reading = threading.Thread(target=self._read_aloud, args=(pipeline,), daemon=True)
        reading.start()
        say("A pipeline of seven phases begins: watch it move.", "/forge/")
        time.sleep(PAUSE_SECONDS)
        made = self._attack(port)
        self._see_the_block(port, made[0])
        alerted = self._alerts_in()
        self._await_second_step()
        reading.join(PIPELINE_SECONDS)
        verdict = self._judge(made)
        failed = self._failing_run()
        resolved = self._resolve()
        return bool(alerted and not verdict.missed and not verdict.accused and failed and resolved)

    def stop(self) -> None:
        """Stop what runs beside us."""
        for child in reversed(self.running):
            child.stop()

    def _start(self, module: str, arguments: list[str]) -> Child:
        child = children.start(module, arguments, {"AIVILLAGE_CONSOLE_TOKEN": self.sender_token})
        self.running.append(child)
        return child

    def _service(self) -> int:
        port = int(self._start("demo.service", ["--url", self.console.url]).first_word()["port"])
        self._start("demo.load", ["--port", str(port), "--rate", str(RATE), "--seconds", str(LOAD_SECONDS)])
        return port

    def _pipeline(self, name: str, effort: float, fail_phase: str) -> Child:
        stamp = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%d-%H%M%S")
        kind = "failing" if fail_phase else "demo"
        return self._start("demo.pipeline", [
            "--url", self.console.url, "--run-id", f"{kind}-{stamp}", "--folder", str(self.folder / stamp),
            "--name", f"Demo: {name}", "--effort", str(effort), "--fail-phase", fail_phase,
        ])  # fmt: skip

    def _read_aloud(self, pipeline: Child) -> None:
        for word in pipeline.words():
            self._heard(word)

    def _heard(self, word: dict[str, Any]) -> None:
        if "phase" in word:
            state = "done" if word["succeeded"] else "failed"
            self.narrator.say(f"Phase {word['phase']} {state} after {word['seconds']:g} s{_figure(word)}.")
        elif word["succeeded"]:
            self.narrator.say("The pipeline succeeded: curves, gates and artifacts are on its page.", "/forge/")
        else:
            self.narrator.say(f"The pipeline failed in {word['failed_phase']}: {word['error']}", "/forge/")

    def _attack(self, port: int) -> list[Attack]:
        made = attacks(self.run)
        for attack in made:
            self.narrator.say(f"Attack: {attack.name} from {_whence(attack)}.", "/security/")
            line = Line(port)
            attack.run(line, time.sleep)
            line.close()
            blocked = f", {attack.blocked} turned away by the block list" if attack.blocked else ""
            self.narrator.say(f"{attack.sent} requests sent{blocked}.")
            time.sleep(PAUSE_SECONDS)
        return made

    def _see_the_block(self, port: int, attack: Attack) -> None:
        """Try again as the first attacker until the door stays shut."""
        address, line = attack.addresses[0], Line(port)
        again = Visit("/api/search", attack.users[0], address, {"query": "hello again"})
        shut = self._until(lambda: line.send(again) == BLOCKED, BLOCK_SECONDS)
        line.close()
        said = "is now turned away with 403" if shut else "is not blocked (is automatic blocking off?)"
        self.narrator.say(f"{address} {said}.", "/security/blocks/")

    def _alerts_in(self) -> bool:
        came = self._until(lambda: bool(self.receivers.github.issues), ALERT_SECONDS)
        counts = self._arrived()
        self.narrator.say(f"People were told: {counts}." if came else f"No issue came: {counts}.", "/alerts/")
        return came

    def _await_second_step(self) -> None:
        if not self.receivers.mail.received:
            return
        to_on_call = lambda: any("on-call@" in str(mail.recipients) for mail in self.receivers.mail.received)  # noqa: E731
        came = self._until(to_on_call, SECOND_STEP_SECONDS + ALERT_SECONDS)
        if came:
            self.narrator.say(
                "Nobody acknowledged: the second step mails on-call and writes into the thread.", "/alerts/"
            )

    def _judge(self, made: list[Attack]) -> Verdict:
        verdict = judged(self.console, made, self.began_at)
        self.narrator.table(verdict.table())
        self.narrator.say(verdict.summary(), "/security/")
        return verdict

    def _failing_run(self) -> bool:
        self.narrator.say("A second, short run gets a learning rate nobody survives.", "/forge/")
        before = len(self.receivers.github.issues)
        self._read_aloud(self._pipeline("a failing run", FAILING_EFFORT, "forge_training"))
        came = self._until(lambda: len(self.receivers.github.issues) > before, ALERT_SECONDS)
        told = "An alert says which phase failed, and GitHub has its issue." if came else "No alert came of it."
        self.narrator.say(told, "/alerts/")
        return came

    def _resolve(self) -> bool:
        """Close every issue as a person would; the signed webhook resolves the alert of each."""
        github, refused = self.receivers.github, []
        for repo, number in sorted(github.issues):
            answer = github.close_issue(number, repo=repo)
            if answer is None or answer[0] >= 300:
                refused.append(f"#{number}: {answer}")
        self.narrator.say(
            f"Somebody closes {len(github.issues)} issues at GitHub; signed webhooks tell the console.", "/alerts/"
        )
        if refused:
            self.narrator.say(f"The console refused {len(refused)} of them: {refused[0]}")
        done = self._until(lambda: not self._open_alerts(), RESOLVE_SECONDS)
        left = self._open_alerts()
        self.narrator.say(
            "All of them are resolved, everywhere." if done else f"{len(left)} alerts are still open.", "/alerts/"
        )
        self._settle()
        self.narrator.say(f"In the end there were {self._arrived()}.", "/notifications/")
        return done

    def _open_alerts(self) -> list[dict[str, Any]]:
        since = datetime.fromtimestamp(self.began_at, UTC).isoformat()
        rows = self.console.everything("alerts", pages=5, started_after=since)
        ours = ("security", "agent_forge")
        return [
            row for row in rows
            if row["labels"].get("component") in ours and row["state"] == "firing" and row["name"] in self._ours(rows)
        ]  # fmt: skip

    def _ours(self, rows: list[dict[str, Any]]) -> set[str]:
        """Return the names of the alerts GitHub has issues of."""
        titles = " ".join(issue.title for issue in self.receivers.github.issues.values())
        return {row["name"] for row in rows if row["name"] in titles}

    def _settle(self) -> None:
        """Give what is still owed to the receivers the time to arrive."""

        def owed() -> bool:
            rows = self.console.everything("notifications", pages=3, state="due")
            return any(str(row["channel_name"]).startswith("demo: ") for row in rows)

        self._until(lambda: not owed(), SETTLE_SECONDS)

    def _arrived(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.receivers.counts().items())

    def _until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so; a console that is away for a moment is asked again."""
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            try:
                if true():
                    return True
            except (Away, Refusal) as error:
                self.narrator.say(f"(asking again: {error})")
                time.sleep(1.0)
            time.sleep(0.5)
        return False


def wired(console: Console, receivers: Receivers) -> Wiring:
    """Return the wiring, set up."""
    wiring = Wiring(console)
    wiring.set_up(receivers)
    return wiring


def _whence(attack: Attack) -> str:
    return attack.addresses[0] if len(attack.addresses) == 1 else f"{len(attack.addresses)} addresses"


def _figure(word: dict[str, Any]) -> str:
    """Return the one figure of a phase that says most."""
    shown = {
        "final_fitness": "fitness {:.3f}", "p_value": "p = {:.2g}", "compression_ratio": "{:.1f} times smaller",
        "final_loss": "loss {:.3f}", "tool_improvement": "tools {:+.0%}", "pareto_front_size": "{} on the front",
        "total_compression_ratio": "{:.1f} times smaller in total",
    }  # fmt: skip
    for name, form in shown.items():
        if name in word["figures"]:
            return ": " + form.format(word["figures"][name])
    return ""
