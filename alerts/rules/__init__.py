"""Rules: validation, compilation and evaluation."""
