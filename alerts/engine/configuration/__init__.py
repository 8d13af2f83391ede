"""The console's configuration as text: read with places, written in one order, compared and merged."""
