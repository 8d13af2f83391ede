"""What the pages of a run draw: where things lie and what they are called; pure, without a clock of their own."""
