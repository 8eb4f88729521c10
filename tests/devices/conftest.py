"""The simulated accelerators, built once a session; where there is no C compiler their tests skip with a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from linnet_devices import DeviceUnavailable, Model
from linnet_devices.testing import faults
from linnet_devices.testing.samples import load_models


@pytest.fixture(scope="session")
def fault_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fault kit's delegate."""
    try:
        return faults.build_delegate(tmp_path_factory.mktemp("faults"))
    except DeviceUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def edgetpu_folder(fault_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for LD_LIBRARY_PATH with the delegate under libedgetpu's name."""
    return faults.build_edgetpu(tmp_path_factory.mktemp("edgetpu")).parent


@pytest.fixture
def int8_model() -> Model:
    """The conformance suite's int8 .tflite: QUANTIZE, CONV_2D, DEPTHWISE_CONV_2D, MEAN, FULLY_CONNECTED, QUANTIZE."""
    return next(model for model in load_models() if model.path.endswith("int8.tflite"))
