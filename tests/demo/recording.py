"""A sender that keeps rows instead of sending them."""

from typing import Any

from aivillage_observability.pipeline_sender import PipelineSender


class Recording(PipelineSender):
    """Takes rows and never opens a connection."""

    def __init__(self) -> None:
        super().__init__(console_url="http://127.0.0.1:9", token="none")
        self.rows: list[dict[str, Any]] = []

    def start(self) -> "Recording":
        return self

    def stop(self, timeout_seconds: float = 0.0) -> None:
        pass

    def flush(self) -> None:
        pass

    def emit(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def of(self, kind: str, phase: str = "") -> list[dict[str, Any]]:
        return [row for row in self.rows if row["kind"] == kind and (not phase or row["phase"] == phase)]
