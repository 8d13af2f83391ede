"""Test runs: the door reports come in by, the page, REST and admin part."""
