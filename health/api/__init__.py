"""The REST API of Health."""
