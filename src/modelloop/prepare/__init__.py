"""Stage 3, prepare. In: versions of datasets. Out: training rows that know nothing of the future, one fitted transform.

The same transform, the same code, prepares 300,000 rows for training and one row for an answer.
"""
