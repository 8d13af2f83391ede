"""What Agent Forge hangs on the floors below: the whole list of its upward connections."""
