"""The whole network as one file for ONNX Runtime, OpenVINO or TorchScript, and running it from there."""

ENDINGS = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".torchscript"}  # of each format's file
RUNTIME_ENDINGS = (".onnx", ".xml")  # of files that run in a runtime of their own
