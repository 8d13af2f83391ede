"""Windows that reach beyond their edges."""
