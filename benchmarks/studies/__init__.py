"""Studies: what methods are worth, on tables of searches that others have already paid for."""
