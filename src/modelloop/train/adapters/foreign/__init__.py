"""Models that somebody else wrote, by library: each file loads one kind, answers with it, and writes it as ONNX.

Called in a child process only (`train.foreign.child`): what is loaded here came from a client.
"""
