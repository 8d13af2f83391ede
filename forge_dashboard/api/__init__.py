"""The REST API of Agent Forge."""
