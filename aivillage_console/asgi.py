"""ASGI entry: web sockets only. HTTP is WSGI, ten times as cheap under Django."""

import os

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from channels.sessions import SessionMiddlewareStack
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aivillage_console.settings")
django.setup(set_prefix=False)


async def no_http(_scope: object, _receive: object, send: object) -> None:
    """Answer plain HTTP with 404: this port speaks web sockets only."""
    await send({"type": "http.response.start", "status": 404, "headers": []})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]


application = ProtocolTypeRouter(
    {
        "http": no_http,
        # Consumers import models, so they are loaded by name once Django stands.
        "websocket": OriginValidator(
            SessionMiddlewareStack(
                URLRouter(import_string("aivillage_console.accounts.consumers.websocket_urlpatterns"))
            ),
            import_string("aivillage_console.accounts.consumers.allowed_origins")(),
        ),
    },
)
