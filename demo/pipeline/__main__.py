"""Run the pipeline against a console.

    python -m demo.pipeline --url URL --run-id ID --folder DIR

The token comes from AIVILLAGE_CONSOLE_TOKEN. Each finished phase and the outcome is a line of JSON on standard output.
"""

import argparse
import contextlib
from pathlib import Path

from aivillage_observability.pipeline_sender import PipelineSender
from demo.children import say, tied_to_parent
from demo.pipeline.runner import PHASES, Figures, Outcome, Plan, run

STOP_SECONDS = 10.0


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(prog="python -m demo.pipeline")
    parser.add_argument("--url", required=True, help="address of the console")
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where artifacts are written")
    parser.add_argument("--name", default="demo pipeline")
    parser.add_argument("--effort", type=float, default=1.0, help="1 is about a minute of work")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--fail-phase", default="", choices=["", *PHASES])
    given = parser.parse_args()
    tied_to_parent()
    plan = Plan(given.run_id, given.folder, given.name, given.seed, given.effort, given.fail_phase)
    sender = PipelineSender(console_url=given.url).start()
    outcome: Outcome | None = None
    with contextlib.suppress(KeyboardInterrupt):
        outcome = run(plan, sender, _heard)
    sender.stop(STOP_SECONDS)
    if outcome is not None:
        say(succeeded=outcome.succeeded, failed_phase=outcome.failed_phase, error=outcome.error)
    return 0 if outcome is not None and outcome.succeeded else 1


def _heard(phase: str, succeeded: bool, seconds: float, figures: Figures) -> None:
    say(phase=phase, succeeded=succeeded, seconds=round(seconds, 1), figures=dict(figures))


if __name__ == "__main__":
    raise SystemExit(main())
