"""Quantiles and fractions of histograms."""
