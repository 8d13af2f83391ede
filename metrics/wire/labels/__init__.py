"""The labels of series nobody has seen: from spans of a request to names for the store, thousands at once."""
