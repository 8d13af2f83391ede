"""Which samples belong to which step."""
