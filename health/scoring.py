"""Scores and bands of components."""
