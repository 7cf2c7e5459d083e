"""Where calls are carried out: child processes of this machine, a Ray cluster."""
