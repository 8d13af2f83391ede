"""What the demo says while it runs: lines at the terminal, and the same for the Setup page."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MOST_LINES = 200


@dataclass(slots=True)
class Narrator:
    """Says what happens now, and where to look at it."""

    pages: str  # address of the console as people open it
    file: Path
    clock: Callable[[], float] = time.monotonic
    began_at: float = field(init=False)
    lines: list[dict[str, str]] = field(default_factory=list)
    state: str = "running"

    def __post_init__(self) -> None:
        """Begin to count."""
        self.began_at = self.clock()

    @property
    def stamp(self) -> str:
        """Return the time since the start: 1:05."""
        seconds = int(self.clock() - self.began_at)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def say(self, text: str, page: str = "") -> None:
        """Say one line; `page` is the path of what to look at."""
        link = self.pages.rstrip("/") + page if page else ""
        self.lines.append({"at": self.stamp, "text": text, "page": page})
        del self.lines[:-MOST_LINES]
        _print(f"{self.stamp:>5}  {text}{f'  {link}' if link else ''}")
        self._keep()

    def table(self, rows: list[list[str]]) -> None:
        """Print a table, its first row as heads."""
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        for row in rows:
            _print("       " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def end(self, state: str) -> None:
        """Say how it ended: done, failed or stopped."""
        self.state = state
        self._keep()

    def _keep(self) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps({"state": self.state, "lines": self.lines}), encoding="utf-8")
        draft.replace(self.file)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
