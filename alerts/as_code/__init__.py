"""Doors of the configuration as files: the import page, REST."""
