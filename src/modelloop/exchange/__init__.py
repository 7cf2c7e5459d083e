"""What comes in and goes out.

Stores of MLflow come in and are proved equal (`importing`, `proof`), everything goes out in open formats (`exporting`),
and MLflow projects run as pipelines (`mlproject`). Above the register, beside the faces.
"""
