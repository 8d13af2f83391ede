"""Runs tables and timelines of expected behaviour against the engine; pure."""
