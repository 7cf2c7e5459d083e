"""Models that somebody else trained become packages. In: a folder in MLflow's format. Out: an ONNX graph that was
compared with the model's own answers, or a sentence that says why there is none.

`apart` starts a child process, `child` is that process, `convert` is what it does.
"""
