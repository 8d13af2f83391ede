"""What other systems tell the console: one folder per sender."""
