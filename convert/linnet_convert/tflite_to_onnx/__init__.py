"""A .tflite graph as ONNX, operator by operator. Internal."""
