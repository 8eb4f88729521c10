"""The Dockerfile: it installs extras that exist, and its server runs with no more rights than it needs."""

from __future__ import annotations

import re
import tomllib

from program import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_it_installs_extras_that_exist_within_the_pins() -> None:
    (extras,) = re.findall(r"pip install .*--constraint constraints\.txt '\.\[([\w,]+)\]'", DOCKERFILE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert "serve" in extras.split(",")


def test_it_copies_what_the_wheel_is_built_from() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {package.partition("/")[0] for package in build["packages"]} | {"pyproject.toml", "constraints.txt"} <= names
    assert all((ROOT / name).exists() for name in names)


def test_the_server_does_not_run_as_root_and_its_command_exists() -> None:
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0
    assert '"linnet", "serve", "/bundle.linnet", "--host", "0.0.0.0"' in DOCKERFILE
    assert len(re.findall("^FROM debian:bookworm-slim", DOCKERFILE, re.MULTILINE)) == 2  # an image of every processor
