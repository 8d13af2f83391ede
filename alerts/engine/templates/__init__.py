"""Go's text templates as Prometheus and Alertmanager use them: read, and filled in within bounds.

Texts come from people, so a template can do nothing but fill in: no attribute of a Python object is ever looked up, and
steps, depth, sizes and queries are bounded. What is filled in is never read again.
"""
