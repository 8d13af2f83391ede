"""The REST API of Security."""
