"""A small real world on loopback to try the console with: a model pipeline, a service, an attacker, receivers."""
