"""The device ``reference``: TensorFlow Lite's reference kernels, which are slow and plain."""

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from linnet_devices import DeviceError, Placement, Probe
from linnet_devices.session import EngineSession


class Reference:
    name, formats = "reference", ("tflite",)
    isolated, targets = True, ()

    def probe(self):
        return Probe(True)

    def open(self, model, options):
        return ReferenceSession(self.name, model)


class ReferenceSession(EngineSession):
    def __init__(self, device, model):
        try:
            self.engine = Interpreter(model.path, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
            self.engine.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"{model.path} on {device}", got=error) from error
        operations = len(self.engine._get_ops_details())
        self.placement = Placement(device, operations, operations)
        super().__init__(device, model)

    def _infer(self, model_input):
        try:
            self.engine.set_tensor(self.engine.get_input_details()[0]["index"], model_input)
            self.engine.invoke()
            return self.engine.get_tensor(self.engine.get_output_details()[0]["index"])
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"{self.device} running {self.model.path}", got=error) from error

    def _release(self):
        del self.engine
