"""Counters whose samples know since when they count."""
