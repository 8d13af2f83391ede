"""What the store holds and what it costs: series by metric and label, bytes by day and level, advice on names."""
