"""One file a work. Each has `WORK`, found by its file's name."""
