"""The language: from a query's text to its tree, and from the tree back to text, JSON and a plan."""
