"""The MLflow-compatible API: the tracking facts and the register as an unmodified MLflow client sees them."""
