"""Stage 1, data. In: files that arrive at a source, and the contract they must keep. Out: immutable dataset versions.

What breaks the contract never gets in: it is set aside with the reasons, row by row; the report says what was checked.
"""
