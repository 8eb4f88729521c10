"""Execution providers that are plug-ins of ONNX Runtime, each in a package beside onnxruntime. Internal."""

from __future__ import annotations

import functools
import importlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import onnxruntime

from linnet_devices.api import DeviceUnavailable, Probe, Tier

QNN_ARCHITECTURES = ("68", "69", "73", "75", "79", "81")
"""Qualcomm's generations of the HTP. QNN itself accepts any text."""


@dataclass(frozen=True)
class PluginProvider:
    """A package that brings a provider's library. Its module has ``get_library_path`` and ``get_ep_name``."""

    package: str
    module: str
    targets: tuple[str, ...] = ()
    """The targets whose compiled models the provider reads."""
    options: Callable[[Any, str | None], dict[str, str]] = lambda module, target: {}
    """The options of the provider, from its module and the target that a model was compiled for."""
    simulated_on: tuple[str, ...] = ()
    """The machines, as ``platform.machine`` names them, on which the package's library simulates the accelerator."""

    def probe(self) -> Probe:
        """Whether the package is installed and its library finds a device. Never raises."""
        try:
            devices = self.devices()
        except DeviceUnavailable as error:
            return Probe(False, " ".join(str(error.got).split()), str(error.fix or ""))
        tier: Tier = "simulator" if platform.machine() in self.simulated_on else "hardware"
        details = {
            "engine": f"onnxruntime {onnxruntime.__version__}",
            "provider": f"{self.package} {version(self.package)}",
            "hardware": "simulated" if tier == "simulator" else ", ".join(str(d.device.type) for d in devices),
        }
        return Probe(True, details=details, tier=tier)

    def devices(self) -> list[Any]:
        """The devices that the provider's library finds.

        Raises:
            DeviceUnavailable: the package is missing or does not load, or its library finds none.
        """
        try:
            name = _register(self.module)
        except (ImportError, PackageNotFoundError) as error:
            got, fix = f"no module {getattr(error, 'name', None) or self.module}", f"pip install {self.package}"
            raise DeviceUnavailable(self.package, got=got, fix=fix) from error
        except Exception as error:  # onnxruntime's errors share no base class below Exception
            got, fix = f"its library does not load: {error}", f"pip install --upgrade onnxruntime {self.package}"
            raise DeviceUnavailable(self.package, got=got, fix=fix) from error
        found = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
        if not found:
            raise DeviceUnavailable(self.package, got="its library finds no device", fix="linnet doctor")
        return found

    def add_to(self, options: onnxruntime.SessionOptions, given: dict[str, str], target: str | None) -> str:
        """Adds the provider to the options of a session, and returns the provider's name.

        Args:
            options: changed here.
            given: the user's options of the provider.
            target: the target that the model was compiled for; None for one that was not compiled.

        Raises:
            DeviceUnavailable: as ``devices``.
        """
        devices = self.devices()
        module = importlib.import_module(self.module)
        options.add_provider_for_devices(devices, self.options(module, target) | given)
        name: str = devices[0].ep_name
        return name


@functools.cache
def _register(module: str) -> str:
    """Loads a provider's library into onnxruntime, once in a process. Returns the provider's name."""
    package = importlib.import_module(module)
    name: str = package.get_ep_name()
    onnxruntime.register_execution_provider_library(name, package.get_library_path())
    return name


def _qnn_options(module: Any, target: str | None) -> dict[str, str]:
    """The HTP, Qualcomm's accelerator. Shared memory needs a driver that the simulator lacks."""
    options = {"backend_path": module.get_qnn_htp_path(), "enable_htp_shared_memory_allocator": "0"}
    return options | ({"htp_arch": target.partition(":v")[2]} if target else {})


PLUGINS = {
    "QNN": PluginProvider(
        package="onnxruntime-qnn",
        module="onnxruntime_qnn",
        targets=tuple(f"qnn:v{architecture}" for architecture in QNN_ARCHITECTURES),
        options=_qnn_options,
        simulated_on=("x86_64",),
    ),
    "OpenVINO": PluginProvider(package="onnxruntime-ep-openvino", module="onnxruntime_ep_openvino"),
}
