"""Foreign libraries that carry out steps."""
