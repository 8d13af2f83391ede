"""One folder per channel, a literal table of them."""
