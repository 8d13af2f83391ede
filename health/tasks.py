"""Celery's doors to Health."""
