"""Answers of Prometheus' HTTP API as bytes: numbers, points, histograms."""
