"""Each work beside its reference in one run: `make bench`, or `make bench NAME=help`."""
