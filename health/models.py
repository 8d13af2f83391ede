"""The tables of Health."""
