"""Exposition formats: what targets show to those who scrape them and what clients push."""
