"""The phases, one module each: `run(stage)` does the work, tells of it, and returns the figures it measured."""
