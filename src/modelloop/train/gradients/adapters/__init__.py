"""Foreign libraries of the gradient search: SciPy and torch, each in its own file."""
