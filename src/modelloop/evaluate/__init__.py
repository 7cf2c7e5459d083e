"""Judging. In: answers and truth of rows the model has not seen. Out: scores with intervals, and verdicts of gates."""
