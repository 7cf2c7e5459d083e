"""Training. In: prepared rows. Out: a candidate, a model in safe formats with all that is needed to judge it."""
