"""Whether an accelerator's compiler will take a model: what its documentation asks for, requirement by requirement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from linnet_convert.readiness.api import Readiness, Requirement
from linnet_convert.readiness.edgetpu import check_edgetpu
from linnet_convert.readiness.npu import check_npu
from linnet_devices.api import Artifact

_CHECKS: dict[str, tuple[str, Callable[[Path], list[Requirement]]]] = {
    "edgetpu": ("tflite", check_edgetpu),
    "npu": ("openvino", check_npu),
}
ACCELERATORS = tuple(_CHECKS)


def check_readiness(accelerator: str, artifacts: Iterable[Artifact], root: Path) -> Readiness:
    """Looks at the int8 artifact that the accelerator would run.

    Args:
        accelerator: one of ``ACCELERATORS``.
        artifacts: a bundle's.
        root: its directory.
    """
    kind, check = _CHECKS[accelerator]
    for artifact in artifacts:
        if artifact.format == kind and artifact.compiled_for in (None, accelerator) and artifact.is_int8:
            return Readiness(accelerator, artifact.path, tuple(check(root / artifact.path)))
    missing = Requirement("int8", "not met", f"the bundle has no int8 artifact for {kind}")
    return Readiness(accelerator, None, (missing,))
