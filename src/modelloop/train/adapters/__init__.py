"""Training libraries: each file knows one, and turns its models into ONNX."""
