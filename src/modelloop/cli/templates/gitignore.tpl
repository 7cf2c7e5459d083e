# Modelloop's own files: facts, bytes, prediction logs, secrets
.modelloop/
# data stays out of git; the folder is kept
/landing/data/*
!/landing/data/.gitkeep
__pycache__/
