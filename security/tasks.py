"""Celery's door to detection."""
