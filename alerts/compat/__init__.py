"""Foreign alert protocols."""
