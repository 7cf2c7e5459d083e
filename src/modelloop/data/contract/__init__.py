"""What a dataset promises, and the judging of an arrival by it."""
