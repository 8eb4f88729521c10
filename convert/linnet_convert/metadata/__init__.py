"""Metadata in model files for other people's programs: labels, normalization, color order. One file a format. Internal.

MediaPipe Tasks and Android's tools read TFLite metadata; OpenVINO's model_api reads ``model_info`` in ONNX and IR
files. Linnet's own runtime reads the bundle only.
"""
