"""The settings of decisions: what a person may state, and the line for what is wrong."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec
import pytest

from linnet_devices.errors import LinnetError
from linnet_runtime.decisions.settings import DecisionSettings, Region, When, check_regions, parse_region


def read(kind: type[Any], toml: str) -> Any:
    return msgspec.convert(tomllib.loads(toml), kind)


def test_the_tables_are_read_from_toml() -> None:
    assert read(Region, 'name = "gate"\nrectangle = [0, 0.25, 1, 0.5]').box == (0, 0.25, 1, 0.5)
    assert read(Region, "polygon = [[0.5, 0], [1, 1], [0.25, 1]]").box == (0.25, 0, 0.75, 1)
    assert read(When, "motion = 0.01\ninterval_s = 60").interval_s == 60
    settings = read(DecisionSettings, 'deny = ["empty"]\nagree = 3\nthreshold = 0.5\nthresholds = {fox = 0.9}')
    assert (settings.deny, settings.agree, settings.thresholds) == (("empty",), 3, {"fox": 0.9})


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        (
            "rectangle = [0.5, 0, 0.7, 1]",
            "got [0.5, 0, 0.7, 1], expected a part of the frame, such as [0.5, 0, 0.5, 1]",
        ),
        ("rectangle = [-0.1, 0, 0.5, 1]", "expected a part of the frame, such as [0, 0, 0.4, 1]"),
        ("rectangle = [1.2, 0, 0.5, 1]", "expected a part of the frame: x and y of 0 to 1"),
        ("rectangle = [160, 120, 320, 240]", "expected shares of the frame, 0 to 1. Fix: divide pixels by the frame's"),
        ("rectangle = [0, 0, 0, 1]", "got [0, 0, 0, 1], expected a width and a height above 0"),
        ("rectangle = [0, 0, nan, 1]", "got [0, 0, nan, 1], expected a part of the frame"),
        ("rectangle = [0, 0, inf, 1]", "expected"),
        ("rectangle = [0, 0, 1]", "Expected `array` of length 4, got 3 - at `$.rectangle`"),
        ("polygon = [[0, 0], [1, 1]]", "polygon: got 2 corners, expected at least 3"),
        (
            "polygon = [[0, 0], [1, 1], [1, 0], [0, 1]]",
            "polygon: got edges 0 and 2, which cross, expected an outline, such as [[0, 0], [1, 0], [1, 1], [0, 1]]",
        ),
        ("polygon = [[0, 0], [0.5, 0.5], [1, 1]]", "polygon: got corners on one line, expected an area"),
        ("polygon = [[0, 0], [1, 0], [0.5, 0], [0, 1]]", "got edges 0 and 2, which cross"),  # back on its own edge
        (
            "polygon = [[0, 0], [1, 0], [1, 1], [0, 0]]",
            "polygon[3]: got [0, 0] a second time, expected each corner once. Fix: leave it out",
        ),
        (
            "polygon = [[0, 0], [1, 1.2], [1, 0]]",
            "polygon[1]: got [1, 1.2], expected a point of the frame, such as [1, 1]",
        ),
        ("polygon = [[0, 0], [1, nan], [1, 0]]", "polygon[1]: got [1, nan], expected a point of the frame"),
        ("", "rectangle and polygon: got neither, expected one of the two"),
        (
            "rectangle = [0, 0, 1, 1]\npolygon = [[0, 0], [1, 1], [1, 0]]",
            "rectangle and polygon: got both, expected one of the two",
        ),
        ('name = "a\\nb"\nrectangle = [0, 0, 1, 1]', "name: got 'a\\nb', expected printable characters"),
    ],
)
def test_a_wrong_region_is_one_line_with_the_nearest_right_one(toml: str, line: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(line)) as refused:
        read(Region, toml)
    assert "\n" not in str(refused.value)


def test_shares_that_add_up_to_one_but_for_rounding_are_accepted() -> None:
    for thousandths in range(1, 1000):
        share = thousandths / 1000
        Region(rectangle=(share, 0, 1 - share, 1))
        Region(rectangle=(share, 0, (1000 - thousandths) / 1000, 1))


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("threshold = 1.2", "Expected `float` <= 1.0 - at `$.threshold`"),
        ("threshold = nan", "$.threshold"),
        ("thresholds = {fox = 1.5}", "Expected `float` <= 1.0"),
        ("agree = 0", "Expected `int` >= 1 - at `$.agree`"),
        ("window_s = 0", "Expected `float` > 0.0 - at `$.window_s`"),
        ('smoothing = "votes"', "Invalid enum value 'votes' - at `$.smoothing`"),
        ("hysteresys = 0.1", "unknown field `hysteresys`"),
        ("several = true", "several: got no threshold, expected one above 0, such as threshold = 0.5"),
        ('allow = ["fox"]\ndeny = ["fox"]', "allow and deny: got 'fox' in both, expected it in one of the two"),
    ],
)
def test_a_wrong_setting_is_one_line(toml: str, line: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(line)):
        read(DecisionSettings, toml)


def test_regions_of_a_camera_have_different_names() -> None:
    box = (0.0, 0.0, 1.0, 1.0)
    check_regions([Region(rectangle=box)])
    check_regions([Region(name="a", rectangle=box), Region(name="b", rectangle=box)])
    with pytest.raises(LinnetError, match=r"region.name: got 'a' twice"):
        check_regions([Region(name="a", rectangle=box)] * 2)
    with pytest.raises(LinnetError, match=r"region.name: got several regions without a name"):
        check_regions([Region(rectangle=box)] * 2)


def test_a_region_is_read_from_a_flag() -> None:
    assert parse_region("0.25,0.25,0.5,0.5") == Region(rectangle=(0.25, 0.25, 0.5, 0.5))
    with pytest.raises(LinnetError, match=r"region: got '0,0,1', expected X,Y,W,H in shares of the frame, such as"):
        parse_region("0,0,1")
    with pytest.raises(LinnetError, match=r"such as \[0.5, 0, 0.5, 1\]"):
        parse_region("0.5,0,0.7,1")
