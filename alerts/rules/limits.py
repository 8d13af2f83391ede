"""Bounds of recording rules that validation and evaluation share."""

# Series one recording rule may have at one time; its own `limit` may be lower.
MOST_SERIES = 10_000
# Times one backfill may compute: ninety days at 15 s are half a million.
MOST_STEPS = 1_000_000
