"""A float ONNX graph as a Keras model, operator by operator. Internal."""
