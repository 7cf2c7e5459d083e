"""What rows look like: profiles, drift, anomalies, personal data."""
