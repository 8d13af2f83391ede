"""Prometheus' rule files: read, evaluated over samples in memory, tested and written. No file, no clock, no store."""
