"""Whether an accelerator's compiler accepts a model: the requirements of its documentation one by one, and what the
compiler itself reports where it is installed. Internal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from pkgutil import resolve_name

from linnet_convert.readiness.api import Readiness, Requirement
from linnet_convert.readiness.edgetpu_compiler import as_requirement, compile_for_edgetpu, has_compiler
from linnet_runtime.bundle import Artifact

__all__ = ["ACCELERATORS", "Readiness", "Requirement", "check_readiness"]

# From an accelerator to the format that its compiler reads, and to the check of its requirements, imported on use.
_CHECKS = {
    "edgetpu": ("tflite", "linnet_convert.readiness.edgetpu:check_edgetpu"),
    "npu": ("openvino", "linnet_convert.readiness.npu:check_npu"),
}
ACCELERATORS = tuple(_CHECKS)


def check_readiness(
    accelerator: str, artifacts: Iterable[Artifact], root: Path
) -> tuple[Readiness, tuple[Artifact, ...]]:
    """Checks the int8 artifact that the accelerator would run, and compiles it where its compiler is installed.

    Args:
        accelerator: one of ``ACCELERATORS``.
        artifacts: all artifacts of a bundle.
        root: the bundle's directory.

    Returns:
        The findings, and the compiled artifact, if any.

    Raises:
        ConversionError: the compiler refuses a model that meets all requirements.
    """
    form, target = _CHECKS[accelerator]
    check: Callable[[Path], list[Requirement]] = resolve_name(target)
    for artifact in artifacts:
        if artifact.format == form and artifact.is_int8 and artifact.compiled_for in (None, accelerator):
            readiness = Readiness(accelerator, artifact.path, tuple(check(root / artifact.path)))
            compilable = accelerator == "edgetpu" and artifact.compiled_for is None and readiness.is_ready
            if not compilable or not has_compiler():
                return readiness, ()
            compiled, compilation = compile_for_edgetpu(artifact, root)
            return readiness.with_requirement(as_requirement(compilation)), (compiled,)
    missing = Requirement("an int8 model", "not met", f"the bundle has none in {form}")
    return Readiness(accelerator, None, (missing,)), ()
