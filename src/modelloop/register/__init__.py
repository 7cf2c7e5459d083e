"""Stage 6. In: a candidate and what was found about it. Out: an immutable, numbered package."""
