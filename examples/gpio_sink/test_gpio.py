from linnet_runtime.testing.sink_conformance import SinkConformance


class TestGpio(SinkConformance):
    sink, settings = "gpio", {"chip": "simulated", "line": 17, "label": "nut"}
