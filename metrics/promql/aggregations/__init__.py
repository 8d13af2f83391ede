"""Aggregations over groups of series."""
