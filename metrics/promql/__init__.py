"""A PromQL evaluator over columns: no Django, no I/O, the time range is an argument."""
