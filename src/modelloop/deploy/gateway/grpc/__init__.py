"""The Open Inference Protocol over gRPC: the same answers as over HTTP, on a port and in a process of its own.

`serve(answerer, host=..., port=..., remote=..., listening=..., stop=...)` blocks until `stop` is resolved, or until
SIGTERM or SIGINT where it runs in the main thread.
"""

from .door import serve

__all__ = ["serve"]
