"""Foreign libraries that training at once stands on: torch and Ray."""
