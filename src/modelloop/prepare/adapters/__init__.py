"""What preparation does with foreign libraries: scikit-learn's transformers, written and run as ONNX."""
