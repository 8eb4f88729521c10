"""Every device of the table passes the public conformance suite."""

from linnet_devices.testing.conformance import DeviceConformance, SimulatedDeviceConformance


class TestLiteRT(DeviceConformance):
    device = "cpu:litert"


class TestOnnxRuntime(DeviceConformance):
    device = "cpu:onnx"


class TestOnnxRuntimeProvider(DeviceConformance):
    device = "ort:CPU"


class TestOpenVino(DeviceConformance):
    device = "cpu:openvino"


class TestFake(SimulatedDeviceConformance):
    device = "fake"
