"""How long phases take: estimates, and what is stalled."""
