"""Pages of rules: the list with its noise, one rule, the editor with its previews, and the groups."""
