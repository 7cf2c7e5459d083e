"""Stage 1, data. In: what arrives at a source, and the contract it must keep. Out: immutable dataset versions.

What breaks the contract never gets in: it is set aside with the reasons, row by row; the report says what was checked.
`sources` and `formats` lead to raw rows, `contract` judges them, `insight` says what they look like, `versions` keeps
them.
"""
