"""The health report as data and as Markdown."""
