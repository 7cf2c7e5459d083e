"""The metrics of each task: each with a sentence of meaning, a direction, its domain and its way to an interval."""
