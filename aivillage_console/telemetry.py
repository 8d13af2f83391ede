"""Tells others about the console itself: errors to Sentry, spans to an OTLP receiver, each only where it is configured.

`start` is called once a process has its role and never before a fork: both libraries start threads. They are imported
by name, because a process that sends nothing should not carry them.
"""

import importlib

from django.conf import settings

ROLES = frozenset({"web", "sockets", "worker", "beat", "evaluator", "dispatcher", "compactor", "collector", "scraper"})
# Ingest, sockets and the collector would report about reporting: a loop.
TRACED_ROLES = frozenset({"web", "worker"})


def start(role: str) -> None:
    """Begin to report for this role; a process without one of the known roles reports nothing."""
    config = settings.CONFIG
    if role not in ROLES:
        return
    if config.sentry_dsn:
        importlib.import_module("aivillage_console.error_reports").start(role, config)
    if config.otel_exporter_otlp_endpoint and role in TRACED_ROLES:
        importlib.import_module("aivillage_console.tracing").start(role, config)
