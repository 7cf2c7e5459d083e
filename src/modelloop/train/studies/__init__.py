"""Studies: searches and their trials, kept so that they outlive the process."""
