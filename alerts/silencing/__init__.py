"""Pages of silences, recurring mute times and inhibitions, and their forms."""
