"""Which modules are public: the docstring of a package names them, and every other one says that it is internal."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from program import ROOT

PACKAGES = ("devices/linnet_devices", "edge_runtime/linnet_runtime", "train/linnet_train", "convert/linnet_convert")


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def named_modules(package: Path) -> set[str]:
    """The modules that the docstring of a package names."""
    return set(re.findall(rf"``({package.name}(?:\.\w+)+)``", docstring(package / "__init__.py")))


def is_public(module: str, named: set[str]) -> bool:
    """A folder ``testing`` is public as a whole."""
    return module in named or any(module.startswith(f"{name}.") for name in named if name.endswith(".testing"))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_module_is_named_as_public_or_says_that_it_is_internal(package: str) -> None:
    """What a folder says is said for all files in it."""
    root = ROOT / package
    named = named_modules(root)
    internal = {path: "Internal." in docstring(path).split() for path in root.rglob("*.py")}
    for path, says in internal.items():
        inside = path.relative_to(root.parent).with_suffix("").parts
        module = ".".join(inside[:-1] if inside[-1] == "__init__" else inside)
        above = [folder / "__init__.py" for folder in path.parents if folder.is_relative_to(root) and folder != root]
        says_internal = says or any(internal[init] for init in above)
        public = module == root.name or is_public(module, named)
        if not public:
            assert says_internal, f"{module}: end the first paragraph of its docstring with: Internal."
        elif module in named or module == root.name:
            assert not says_internal, f"{module} is named as public in {root.name}, and says that it is internal"


@pytest.mark.parametrize("package", PACKAGES)
def test_public_modules_exist(package: str) -> None:
    for module in named_modules(ROOT / package):
        path = (ROOT / package).parent.joinpath(*module.split("."))
        assert path.with_suffix(".py").exists() or (path / "__init__.py").exists(), module
