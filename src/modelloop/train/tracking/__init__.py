"""What runs log, and finding it again: in come experiments, metrics, params, tags and artifacts; out come runs."""
