"""Photos that belong together by their names, and the pattern that is proposed for a split."""

from __future__ import annotations

import re

import pytest

from linnet_train.data_check.families import divided_families, find_families

CLASSES = ("bolt", "nut")


def named(*patterns: str, count: int = 10) -> list[str]:
    """Paths in two classes: each pattern with i = 0, 1, ... for each class."""
    return [f"{label}/{pattern.format(i=i)}" for label in CLASSES for i in range(count) for pattern in patterns]


def families(names: list[str], alike: list[list[int]] | None = None) -> list[list[str]] | None:
    found = find_families(names, [name.split("/")[-2] for name in names], alike or [])
    if found is None:
        return None
    assert all(re.search(found.pattern, name) for name in names), "a split refuses a name without its pattern"
    assert re.compile(found.pattern).groups == 1
    return [[names[i].rpartition("/")[2] for i in members] for members in found.families]


@pytest.mark.parametrize(
    ("original", "copy"),
    [
        ("IMG_{i}.jpg", "IMG_{i}(2).jpg"),  # a second download
        ("IMG_{i}.jpg", "IMG_{i} (1).jpg"),  # Windows
        ("IMG_{i}.jpg", "IMG_{i} - Copy.jpg"),  # Windows
        ("IMG_{i}.jpg", "IMG_{i} - Copy (2).jpg"),
        ("IMG_{i}.jpg", "IMG_{i} copy.jpg"),  # macOS
        ("IMG_{i}.jpg", "Copy of IMG_{i}.jpg"),  # Google Drive
        ("IMG_{i}.jpg", "copy of IMG_{i}.JPG"),
        ("IMG_{i}.jpg", "IMG_{i}_rot90.jpg"),  # scripts that augment
        ("IMG_{i}.jpg", "IMG_{i}_hflip.jpg"),
        ("IMG_{i}.jpg", "IMG_{i}-aug-3.jpg"),
        ("IMG_{i}.jpg", "IMG_{i}~2.jpg"),  # Android
        ("IMG_{i}.jpg", "IMG_{i}_edited.jpg"),
        ("IMG_{i}.jpg", "IMG_{i}_jpg.rf.0a1b2c3d.jpg"),  # Roboflow
        ("IMG_{i}_jpg.rf.0a1b2c3d.jpg", "IMG_{i}_jpg.rf.Kx81pQz.jpg"),  # Roboflow, which exports no original
    ],
)
def test_a_mark_of_a_copy_beside_the_original_is_a_family(original: str, copy: str) -> None:
    found = families(named(original, copy))
    assert found is not None
    assert sorted(sorted(family) for family in found) == sorted(
        sorted(name.format(i=i) for name in (original, copy)) for i in range(10) for _ in CLASSES
    )


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("_0_{i}7.jpeg", "_1_{i}7.jpeg", "_2_{i}7.jpeg"), ["_0_07.jpeg", "_1_07.jpeg", "_2_07.jpeg"]),
        (("box{i}_0.jpg", "box{i}_1.jpg"), ["box0_0.jpg", "box0_1.jpg"]),
        (("IMG_20{i}_1.jpg", "IMG_20{i}_2.jpg"), ["IMG_200_1.jpg", "IMG_200_2.jpg"]),
    ],
)
def test_numbers_that_count_each_familys_photos_make_families(patterns: tuple[str, ...], expected: list[str]) -> None:
    found = families(named(*patterns))
    assert found is not None
    assert found[0] == expected
    assert len(found) == 10 * len(CLASSES)


@pytest.mark.parametrize(
    "names",
    [
        named("glass{i}.jpg"),
        named("{i}.jpg"),  # the same names in both classes
        named("IMG_{i}.JPG"),
        named("bolt ({i}).jpg"),  # Windows numbers photos that were renamed together, with no original
        named("IMG_2023010{i}_12345{i}.jpg"),  # a date and a time
        named("{i}/.jpg", "a{i}.jpg"),
        named("DSC_000{i}.jpg", "IMG_77{i}.jpg"),
        named("IMG_{i}.jpg", "IMG_{i}(2).jpg", count=2),  # too few for a split
        [],
    ],
)
def test_names_without_families_get_no_pattern(names: list[str]) -> None:
    assert families(names) is None


def test_photos_that_look_the_same_decide_which_number_is_the_family() -> None:
    """Keras's augmentation writes _INDEX_RANDOM.jpeg; other scripts write _TURN_INDEX.jpeg."""
    names = [
        f"{label}/_{i}_{(i * 7 + turn * 31) % 97}.jpeg" for label in CLASSES for i in range(12) for turn in range(3)
    ]
    by_first = [[start + 3 * i + turn for turn in range(3)] for start in (0, 36) for i in range(12)]
    assert families(names) is None, "the names alone do not tell"
    found = families(names, by_first)
    assert found is not None
    assert all(len({name.split("_")[1] for name in family}) == 1 for family in found)


def test_a_pattern_that_divides_what_looks_the_same_is_not_proposed_for_it() -> None:
    names = [f"{label}/shot{i}.jpg" for label in CLASSES for i in range(20)]
    assert families(names, [[i, i + 1] for i in range(0, 40, 2)]) is None


def test_families_in_two_parts_are_told_apart() -> None:
    names = named("box{i}_0.jpg", "box{i}_1.jpg")
    found = find_families(names, [name.split("/")[0] for name in names], [])
    assert found is not None
    parts = ["train" if name.endswith("_0.jpg") or "box1" in name else "test" for name in names]
    assert len(list(divided_families(found, parts))) == 18
