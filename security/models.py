"""The tables of Security."""
