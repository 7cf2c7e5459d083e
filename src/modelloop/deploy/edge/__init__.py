"""A registered model -> a signed folder that devices and browser pages answer with, without Modelloop.

`actions.building` makes the folder: one ONNX graph from raw columns to answers (`graph`, `ops`), perhaps in int8
(`quantise`), a runtime of one file, a manifest and its signature (`signing`).
"""
