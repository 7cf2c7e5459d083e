"""What user code holds while it trains: a run that it logs to."""
