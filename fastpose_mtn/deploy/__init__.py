"""The whole network as one file for ONNX Runtime, OpenVINO or TorchScript."""

ENDINGS = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".torchscript"}  # of each format's file
