"""Scripts in the language of Prometheus' engine tests: load samples, ask, compare the answers."""
