"""Pure mathematics: arrays in, numbers out. No clock, no database, no randomness but from a given seed."""
