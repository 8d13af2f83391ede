"""The Celery application. Tasks are doors: each calls one service that claims leased rows from PostgreSQL."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aivillage_console.settings")

app = Celery("aivillage_console")
app.config_from_object("django.conf:settings", namespace="CELERY")
if os.environ.get("ROLE") != "beat":
    # Beat sends names alone; the tasks would bring the query engine and its kernels into its memory.
    app.autodiscover_tasks()
