"""Pure scorers of attacks, the same at the edge and in the console."""
