"""What a query's answer says besides its values: warnings (probably wrong) and infos (perhaps not meant)."""

from dataclasses import dataclass, field

# As many of each kind as Prometheus shows in its answers.
MOST_SHOWN = 10


@dataclass(slots=True)
class Annotations:
    """Collects distinct texts while a query runs; the texts are those Prometheus 3 uses (util/annotations)."""

    warnings: dict[str, None] = field(default_factory=dict)
    infos: dict[str, None] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        """Note that the answer is probably wrong."""
        self.warnings.setdefault(text)

    def inform(self, text: str) -> None:
        """Note that the query may not ask what was meant."""
        self.infos.setdefault(text)
