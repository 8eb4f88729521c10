"""The sink ``gpio``: a line of a GPIO chip is high while a label is decided.

[sink.gpio]
chip = "/dev/gpiochip0"    # "simulated": no hardware, the line is only printed
line = 17
label = "bolt"
"""

from linnet_runtime.results import Result
from linnet_runtime.sinks import SinkError


class Gpio:
    name, pictures = "gpio", False

    def __init__(self, settings, stream):
        chip, self.line = settings.get("chip", "/dev/gpiochip0"), settings.get("line")
        self.label, self.high = settings.get("label"), False
        if type(self.line) is not int or self.label not in stream.labels:
            raise SinkError("[sink.gpio]", got=settings, expected=f"line and label, one of {', '.join(stream.labels)}")
        try:
            self.lines = SimulatedChip() if chip == "simulated" else Line(chip, self.line)
        except (ImportError, OSError, ValueError) as error:
            raise SinkError(
                f"line {self.line} of {chip}", got=error, fix="pip install gpiod, or the group gpio"
            ) from error

    def write(self, item):
        if not isinstance(item, Result):
            return False
        high = item.label == self.label
        if high != self.high:
            self.lines.set(self.line, high)
            self.high = high
        return True

    def close(self):
        if self.lines is not None:
            self.lines.set(self.line, False)
            self.lines.release()
            self.lines = None


class Line:
    """A line as an output, low at first."""

    def __init__(self, chip, line):
        import gpiod
        from gpiod.line import Direction, Value

        self.values = {False: Value.INACTIVE, True: Value.ACTIVE}
        output = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.INACTIVE)
        self.request = gpiod.request_lines(chip, consumer="linnet", config={line: output})

    def set(self, line, high):
        self.request.set_value(line, self.values[high])

    def release(self):
        self.request.release()


class SimulatedChip:
    """In a chip's place where there is no hardware."""

    def set(self, line, high):
        print(f"simulated: line {line} is {'high' if high else 'low'}", flush=True)

    def release(self):
        pass
