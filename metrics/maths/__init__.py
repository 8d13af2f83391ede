"""Pure arithmetic over samples."""
