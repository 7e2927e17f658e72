"""From results to scores: pure functions, every record with its weight."""
