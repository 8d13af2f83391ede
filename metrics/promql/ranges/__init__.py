"""Functions over windows of samples: rates, regressions and the *_over_time family."""
