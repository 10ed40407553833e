"""Frames to people, for every system: resizing, views, mapping back, exported networks."""

RUNTIME_ENDINGS = (".onnx", ".xml")  # of files that run in a runtime of their own
