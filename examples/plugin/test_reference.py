from linnet_devices.testing.conformance import DeviceConformance


class TestReference(DeviceConformance):
    device = "reference"
