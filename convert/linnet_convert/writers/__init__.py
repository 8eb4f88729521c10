"""The artifacts that go into a bundle: .tflite, .onnx and OpenVINO IR. Internal."""
