"""An ONNX graph as a Keras model."""
