"""Work described: plain functions go in, recorded runs come out, each finished step once."""
