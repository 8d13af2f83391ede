"""What goes from phase to phase: the model, the run's dice, how much work there is, and who is told."""

from dataclasses import dataclass, field

import numpy as np

from demo.pipeline.language import Samples, draw
from demo.pipeline.network import Model, Shape, fresh
from demo.pipeline.reporting import PhaseReport

HELD_OUT = 4000
SHAPE = Shape(hidden=192)
WILD_RATE = 1e3


class PhaseFailed(RuntimeError):
    """The phase worked to its end, and what it measured is not good enough."""


def dice(seed: int, purpose: str) -> np.random.Generator:
    """Return the random numbers of one purpose: the same for the same run, whatever happened before."""
    return np.random.default_rng([seed, *purpose.encode()])


@dataclass(slots=True)
class Stage:
    """The state of a run; phases read it and leave the better model in it."""

    seed: int
    effort: float  # 1.0 is a run of about a minute
    failing: str = ""  # the phase that gets a learning rate nobody survives
    report: PhaseReport = field(init=False)  # of the phase at work; the runner sets it
    model: Model = field(init=False)
    held_out: Samples = field(init=False)

    def __post_init__(self) -> None:
        """Draw the first weights and the samples nobody trains on."""
        self.model = fresh(SHAPE, self.dice("weights"))
        self.held_out = draw(self.dice("held out"), max(400, int(HELD_OUT * min(self.effort, 1.0))))

    def dice(self, purpose: str) -> np.random.Generator:
        """Return the random numbers of one purpose."""
        return dice(self.seed, purpose)

    def steps(self, usual: int) -> int:
        """Return how many steps of something this run takes."""
        return max(4, int(usual * self.effort))

    def rate(self, usual: float, done: float = 1.0) -> float:
        """Return the learning rate; in a phase that shall fail it grows with what is done, until it diverges."""
        return usual * WILD_RATE**done if self.failing == self.report.phase else usual
