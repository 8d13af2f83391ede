"""How results come in: from the console's own runs and from services that report."""
