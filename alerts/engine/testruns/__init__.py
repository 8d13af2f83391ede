"""Reports of test runs: read from three formats, measured, and judged by the six categories. Pure."""
