"""Celery's doors to Agent Forge."""
