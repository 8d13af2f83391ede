"""Unit tests of rules, in the language of Prometheus' own test files."""
