"""A pipeline that truly merges, trains, quantises and compresses tiny models, small enough for a minute on one core."""
