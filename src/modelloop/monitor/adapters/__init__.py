"""Where alerts go beyond the database."""
