"""python -m demo: a pipeline, an attack and the people who are told, against a console that runs.

`make demo` and the button on Setup start it with tokens of its own; it knows public doors only.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from demo.children import tied_to_parent
from demo.door import Away, Console, Refusal
from demo.narration import Narrator
from demo.pipeline.runner import PHASES
from demo.receivers import PREFIX, Receivers, listening, remove
from demo.story import Story, wired

CLEAN = "make demo ARGS=--clean"


def main() -> int:
    """Run the demo, or remove what it set up."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    if given.tied:
        tied_to_parent()
    console = Console(given.url, _token(given.folder, "conductor"))
    try:
        return _clean(console) if given.clean else _run(given, console)
    except KeyboardInterrupt:
        return 130
    except (Away, Refusal, RuntimeError) as error:
        sys.stderr.write(f"The demo cannot go on: {error}\n")
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--url", required=True, help="address of the console for programs")
    parser.add_argument("--pages", required=True, help="address of the console for people")
    parser.add_argument("--folder", type=Path, required=True, help="where tokens are read and progress is written")
    parser.add_argument("--ports", required=True, type=lambda text: tuple(map(int, text.split(","))))
    parser.add_argument("--lock", type=int, help="an inherited file that is locked while we live")
    parser.add_argument("--tied", action="store_true", help="end when standard input closes")
    parser.add_argument("--clean", action="store_true", help="remove what the demo set up in the console, and end")
    parser.add_argument("--quick", action="store_true", help="less work in the main run")
    parser.add_argument("--fail-phase", default="", choices=["", *PHASES], help="let the main run fail in this phase")
    return parser.parse_args()


def _token(folder: Path, name: str) -> str:
    return (folder / f"{name}_token").read_text(encoding="ascii").strip()


def _clean(console: Console) -> int:
    kept = remove(console)
    sys.stdout.write(f"Removed what is named {PREFIX!r}: channels, policy, hook. Stored data stays.\n")
    for row in kept:
        sys.stdout.write(f"Still there: {row}\n")
    return 1 if kept else 0


def _run(given: argparse.Namespace, console: Console) -> int:
    narrator = Narrator(given.pages, given.folder / "progress.json")
    narrator.say("The demo begins; it takes about three minutes. Ctrl-C ends it.", "/")
    state = "failed"
    try:
        with tempfile.TemporaryDirectory(prefix="aivillage-demo-") as folder, listening(given.ports) as receivers:
            state = "done" if _told(given, console, narrator, receivers, Path(folder)) else "failed"
    except KeyboardInterrupt:
        state = "stopped"
        raise
    except (Away, Refusal, RuntimeError) as error:
        narrator.say(f"The demo cannot go on: {error}")
    finally:
        narrator.say({
            "done": "That was the demo: everything came out as it should.",
            "failed": "The demo is over; not everything came out as it should.",
            "stopped": "The demo was stopped.",
        }[state] + f" Its data stays; to remove channels, policy and hook: {CLEAN}")  # fmt: skip
        narrator.end(state)
    return 0 if state == "done" else 1


def _told(
    given: argparse.Namespace, console: Console, narrator: Narrator, receivers: Receivers, folder: Path
) -> bool:  # fmt: skip
    wiring = wired(console, receivers)
    story = Story(
        console, _token(given.folder, "sender"), narrator, receivers, folder, _number(given.folder / "runs"),
        given.quick, given.fail_phase,
    )  # fmt: skip
    try:
        return story.tell()
    finally:
        # Ctrl-C may come again while this runs: what is switched off stays off then, what is not is so by `--clean`.
        story.stop()
        with contextlib.suppress(Away):
            wiring.switch_off()


def _number(file: Path) -> int:
    """Return the number of this run, counted from 0."""
    try:
        number = int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        number = 0
    file.write_text(str(number + 1), encoding="ascii")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
