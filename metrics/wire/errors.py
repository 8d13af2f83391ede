"""Why a body could not be read."""


class WireError(ValueError):
    """Bytes that do not follow their format."""


class TooLarge(WireError):  # noqa: N818 - says what happened, as Http404 does
    """Bytes that do, but are more than is taken at once."""
