"""The phases, their names and their gates, as Agent Forge knows them."""
