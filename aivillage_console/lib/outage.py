"""What every door answers while the database is away: 503 and when to come again, never a yes and never a 500."""

from collections.abc import Callable
from functools import wraps

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

AWAY = (OperationalError, InterfaceError)
RETRY_SECONDS = 2
WORDS = "The database is away and nothing was stored. Send it again."
View = Callable[[HttpRequest], HttpResponse]


def answered_when_away(answer: Callable[[], HttpResponse]) -> Callable[[View], View]:
    """Have a view answer so when the database is away, whatever it was doing."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest) -> HttpResponse:
            try:
                return view(request)
            except AWAY:
                return come_again(answer())

        return guarded

    return decorate


def come_again(response: HttpResponse) -> HttpResponse:
    """Return the answer with the time after which to try again."""
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response
