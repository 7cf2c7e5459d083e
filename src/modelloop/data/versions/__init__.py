"""How rows of versions are kept, compared, merged and taken out."""
