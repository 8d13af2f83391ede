"""Why a service says no."""


class Refused(ValueError):
    """The request cannot be done as asked; `field` names what to correct, where there is one."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotAllowed(Refused):
    """The actor may not do this, however it is asked."""
