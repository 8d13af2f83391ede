"""Native histograms under every operator, aggregation and function of the language."""
