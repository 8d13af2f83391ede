"""Why somebody was told of an alert, or nobody was, and what stood around it when it fired."""
