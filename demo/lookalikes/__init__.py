"""Servers on loopback that speak the protocols of Slack, SMTP and GitHub, their errors and quotas included."""
