"""Grouping, routing, inhibition, silences and repeats as a route tree's configuration file describes them; pure."""
