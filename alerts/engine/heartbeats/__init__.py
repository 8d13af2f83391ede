"""Jobs that report in: when each is expected, and how it stands by what it told. Pure: the clock is an argument."""
