"""One behaviour suite for each seam, and fakes to run them with: for our own tests and for those who write adapters."""
