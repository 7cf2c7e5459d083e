"""Pure words and rules everything else is made of. Standard library only; no clock, no files, no network."""
