"""The URLs of the console and one that breaks for somebody who is signed in."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from aivillage_console.accounts.models import User
from aivillage_console.urls import urlpatterns as ours


def broken(request: HttpRequest) -> HttpResponse:
    """Fail as a view of a signed-in person."""
    secret = request.headers["X-Api-Key"]
    request.user = User(email=f"{secret}@example.org", name=secret)
    raise RuntimeError(f"broken on purpose ({len(secret)})")


urlpatterns = [path("broken/", broken), *ours]
