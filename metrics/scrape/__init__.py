"""Scraping: the process that asks targets for their metrics."""
