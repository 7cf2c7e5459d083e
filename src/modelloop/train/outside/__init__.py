"""Models that answer in a process of their own: pickles, pyfunc folders, and native formats that did not become ONNX.

In: a folder with a model and what is said of it. Out: a `Runtime` like any other, whose process may crash, hang or leak
without taking anything along. `process` is the parent's side, `child` the process, `wire` what goes between them.
"""
