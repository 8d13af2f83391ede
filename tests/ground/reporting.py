"""A console in a process of its own that reports to the address it is given; prints the statuses of its answers.

Instrumentation cannot be taken back cleanly, so it never happens in the process of the tests.
"""

import sys

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application

django.setup(set_prefix=False)


def ask(application, path: str, query: str = "") -> str:  # type: ignore[no-untyped-def]
    """Make one GET request and return its status line."""
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": sys.stdin.buffer,
        "wsgi.errors": sys.stderr,
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_AUTHORIZATION": "Bearer tell-nobody",
        "HTTP_COOKIE": "session=tell-nobody",
        "HTTP_X_API_KEY": "tell-nobody",
        "HTTP_USER_AGENT": "a-test",
    }
    body = application(environ, lambda status, _headers, _error=None: statuses.append(status))
    list(body)
    if hasattr(body, "close"):
        body.close()
    return statuses[0]


def main() -> None:
    """Ask for the paths given as arguments and flush what is to be sent."""
    if settings.CONFIG.sentry_dsn:
        settings.ROOT_URLCONF = "tests.ground.breaking_urls"
    application = get_wsgi_application()
    for path in sys.argv[1:]:
        print(ask(application, *path.split("?")))  # noqa: T201
    if settings.CONFIG.sentry_dsn:
        import sentry_sdk

        sentry_sdk.flush(5)
    if settings.CONFIG.otel_exporter_otlp_endpoint:
        from opentelemetry import trace

        trace.get_tracer_provider().force_flush(5000)  # type: ignore[attr-defined]


main()
