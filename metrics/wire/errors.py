"""Why a body could not be read."""


class WireError(ValueError):
    """Bytes that do not follow their format."""


class TooLarge(WireError):
    """Bytes that do, but are more than is taken at once."""
