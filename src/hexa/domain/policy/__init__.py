"""What a Group says, with defaults, units and limits, as plain numbers; it knows no machine's phase."""
