"""The packages of engines and OpenCV: whether they match this Python, NumPy and each other, and can be imported."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution

from linnet_runtime.doctor.links import Link, broken, ok
from linnet_runtime.doctor.system import System

# The packages of each engine, the module that Linnet imports, and the command that installs it. Only one package of a
# row may be installed, because they hold the same files.
_LITERT = "pip install 'linnet[litert]'"
_ONNX = "pip install 'linnet[onnx]'"
_OPENVINO = "pip install 'linnet[openvino]'"
_ONNX_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")
_ENGINES = (
    (("ai-edge-litert",), "ai_edge_litert.interpreter", _LITERT),
    (("tflite-runtime",), "tflite_runtime.interpreter", _LITERT),
    (_ONNX_PACKAGES, "onnxruntime", _ONNX),
    (("openvino",), "openvino", _OPENVINO),
)
_HEADLESS = "opencv-python-headless"
_OPENCV = (_HEADLESS, "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")


def check_engines(system: System) -> Iterator[Link]:
    """Each engine that is installed. No engine at all is broken, because nothing could run a model."""
    found = False
    for names, module, fix in _ENGINES:
        here = [name for name in names if name in system.packages]
        found = found or bool(here)
        if len(here) > 1:
            yield _overwritten(here, here[0])
        elif here:
            yield _check_import(system, here[0], module, fix)
    if not found:
        yield broken("engine", "no engine is installed", _LITERT)


def check_opencv(system: System) -> Iterator[Link]:
    """OpenCV's packages all hold one ``cv2``, and those that open windows need libGL."""
    here = [name for name in _OPENCV if name in system.packages]
    if len(here) > 1:
        yield _overwritten(here, _HEADLESS)
        return
    name = here[0] if here else "cv2"
    error = system.python_error("import cv2")
    fix = f"pip install --force-reinstall {_HEADLESS}"
    if "libGL" in error or "libgthread" in error or "libxcb" in error:
        fix = f"pip uninstall {name}, then pip install {_HEADLESS}, which needs no screen"
    yield broken(name, error, fix) if error else ok(name, _version(system, name) or "not from pip")


def _overwritten(here: list[str], keep: str) -> Link:
    """Removing one of them also removes files of the other, so the one to keep has to be installed again."""
    fix = f"pip uninstall {' '.join(here)}, then pip install {keep}"
    return broken(" and ".join(here), "both are installed, and each overwrites files of the other", fix)


def _check_import(system: System, name: str, module: str, fix: str) -> Link:
    version, numpy = _version(system, name), _version(system, "numpy")
    again = f"pip install --force-reinstall {name}"
    tags = _python_tags(system.packages[name])
    python = "{}.{}".format(*system.python)
    if tags and not any(_suits(tag, abi, system.python) for tag, abi in tags):
        built = ", ".join(sorted({tag for tag, _ in tags}))
        only = name == "tflite-runtime"
        yields = f"{fix}: tflite-runtime ends at Python 3.11" if only else again
        return broken(name, f"{version} was built for {built}, and this is Python {python}", yields)
    if name == "tflite-runtime" and int(numpy.partition(".")[0] or 0) >= 2:  # its requirements do not say so
        found = f"{version} was built for NumPy 1 and fails under NumPy {numpy}"
        return broken(name, found, f"{_LITERT}, or 'numpy<2' where tflite-runtime must stay")
    error = system.python_error(f"import {module}")
    if error:
        return broken(name, f"{version} cannot be imported: {error}", again)
    return ok(name, f"{version} with Python {python} and NumPy {numpy}")


def _version(system: System, name: str) -> str:
    return system.packages[name].version if name in system.packages else ""


def _python_tags(package: Distribution) -> list[tuple[str, str]]:
    """The Pythons that a wheel was built for: the first two parts of its tags, ("cp311", "cp311")."""
    lines = (package.read_text("WHEEL") or "").splitlines()
    tags = [line.partition(":")[2].strip().split("-") for line in lines if line.startswith("Tag:")]
    return [(python, tag[1]) for tag in tags if len(tag) == 3 for python in tag[0].split(".")]


def _suits(tag: str, abi: str, python: tuple[int, int]) -> bool:
    if not tag.startswith("cp"):
        return True  # pure Python
    built = (int(tag[2]), int(tag[3:] or 0))
    return built == python or (abi == "abi3" and built <= python)


def check_engine_of(system: System, names: tuple[str, ...], fix: str) -> Link:
    """The engine that an accelerator needs. Whether it can be imported is checked in the chain of the engines."""
    here = [f"{name} {_version(system, name)}" for name in names if name in system.packages]
    return ok("engine", ", ".join(here)) if here else broken("engine", f"no {' or '.join(names)}", fix)


def litert_engine(system: System) -> Link:
    """Delegates need LiteRT or tflite-runtime."""
    return check_engine_of(system, ("ai-edge-litert", "tflite-runtime"), _LITERT)


def openvino_engine(system: System) -> Link:
    """Intel's NPU and GPU need OpenVINO."""
    return check_engine_of(system, ("openvino",), _OPENVINO)
