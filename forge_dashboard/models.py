"""The tables of Agent Forge."""
