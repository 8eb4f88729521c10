"""The data check finds photos that look the same and families of photos."""

from __future__ import annotations

import html
import json
import shlex
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from checked_photos import Picture, check, fill, found, picture, write
from linnet_runtime.perceptual_hash import BITS
from linnet_train.data_check.alike import Pairs, near_pairs, near_sets
from program import DATA, Program, needs_data


class TestDuplicates:
    def test_the_same_file_twice_is_an_exact_duplicate(self, photos: Path) -> None:
        shutil.copy(photos / "nut" / "03.jpg", photos / "nut" / "copy.jpg")
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level) == ("duplicate", "warning")
        assert finding.files == ("nut/03.jpg", "nut/copy.jpg")

    @pytest.mark.parametrize(
        "change",
        [
            lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR),
            lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
            lambda p: cv2.resize(p, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC),
            lambda p: cv2.convertScaleAbs(p, alpha=1.05, beta=8),
            lambda p: np.clip(p + np.random.default_rng(0).normal(0, 5, p.shape), 0, 255).astype(np.uint8),
        ],
        ids=["encoded-again", "half-size", "three-times-size", "brighter", "noisy"],
    )
    def test_a_changed_copy_is_a_near_duplicate(self, photos: Path, change: Callable[[Picture], Picture]) -> None:
        write(photos / "nut" / "copy.png", change(picture(3)))
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level) == ("near_duplicate", "warning")
        assert finding.files == ("nut/03.jpg", "nut/copy.png")

    @pytest.mark.parametrize(
        "change",
        [
            lambda p: p[..., ::-1].copy(),  # red for blue: another part, in the same place
            lambda p: p // 4,  # brightness is another too: a hash would not know it
            lambda p: np.roll(p, 24, axis=1),
        ],
        ids=["other-color", "much-darker", "shifted"],
    )
    def test_a_picture_that_differs_is_none(self, photos: Path, change: Callable[[Picture], Picture]) -> None:
        write(photos / "nut" / "other.png", change(picture(3)))
        assert check(photos).findings == ()

    @pytest.mark.parametrize("mirrored", [False, True])
    @pytest.mark.parametrize("turn", range(4))
    def test_a_copy_in_each_other_orientation_is_found(self, turn: int, mirrored: bool, photos: Path) -> None:
        if turn == 0 and not mirrored:
            pytest.skip("the picture itself")
        copy = np.rot90(picture(3), turn)
        write(photos / "nut" / "copy.jpg", np.ascontiguousarray(copy[:, ::-1] if mirrored else copy), quality=60)
        (finding,) = check(photos).findings
        assert (finding.kind, finding.level) == ("turned_duplicate", "warning")
        assert finding.files == ("nut/03.jpg", "nut/copy.jpg")
        assert finding.detail.startswith("turned or mirrored, ")

    def test_a_mirrored_copy_with_its_colors_exchanged_is_none(self, photos: Path) -> None:
        write(photos / "nut" / "other.png", np.ascontiguousarray(picture(3)[:, ::-1, ::-1]))
        assert check(photos).findings == ()

    def test_three_copies_are_one_set(self, photos: Path) -> None:
        for quality in (60, 80):
            write(photos / "nut" / f"copy{quality}.jpg", picture(3), quality=quality)
        (finding,) = check(photos).findings
        assert finding.files == ("nut/03.jpg", "nut/copy60.jpg", "nut/copy80.jpg")
        assert "up to" in finding.detail

    def test_near_is_the_number_of_bits(self, photos: Path) -> None:
        write(photos / "nut" / "copy.jpg", picture(3), quality=30)
        (finding,) = check(photos).findings
        bits = int(finding.detail.split()[0])
        assert bits > 0, "or this test shows nothing"
        assert check(photos, near=bits - 1).findings == ()
        assert check(photos, near=bits).findings == (finding,)

    def test_pairs_are_those_of_a_plain_search_across_all_tiles(self) -> None:
        rng = np.random.default_rng(0)
        hashes = rng.integers(0, 256, (1200, 8, 32), dtype=np.uint8)
        hashes[..., -1] &= 0xFE  # the last of 256 bits is none of the hash's
        for i in range(0, 1200, 7):  # copies with up to 48 bits changed
            bits = np.unpackbits(hashes[i, 0])
            bits[rng.choice(BITS, rng.integers(0, 49), replace=False)] ^= 1
            hashes[(i * 611) % 1200, i % 8] = np.packbits(bits)
        colors = np.zeros((1200, 8, 8, 3), dtype=np.uint8)
        rows: list[int] = []
        got = {
            (int(i), int(j)): (int(bits), batch.turned)
            for batch in near_pairs(hashes, colors, 32, rows.append)
            for i, j, bits in zip(batch.i, batch.j, batch.bits, strict=True)
        }
        plain: dict[tuple[int, int], tuple[int, bool]] = {}
        for turn in range(8):
            distances = np.bitwise_count(hashes[:, None, 0] ^ hashes[None, :, turn]).sum(axis=2)
            for i, j in np.argwhere(distances <= 32).tolist():
                if i < j:
                    plain.setdefault((i, j), (int(distances[i, j]), turn > 0))
        assert len({pair for pair, (_, turned) in plain.items() if turned}) > 30
        assert len({pair for pair, (_, turned) in plain.items() if not turned}) > 5
        assert got == plain
        assert rows[-1] == 1200

    def test_sets_join_whatever_the_order_of_the_pairs(self) -> None:
        pairs = [(4, 5), (2, 3), (0, 1), (3, 5), (1, 4)]
        batches = [Pairs(*(np.array([value]) for value in (i, j, 7)), turned=i == 0) for i, j in pairs]
        (linked,) = near_sets(batches, ["a"] * 7, [None] * 7)
        assert linked.turned
        assert (linked.members, linked.bits, linked.conflicting, linked.leaking) == ([0, 1, 2, 3, 4, 5], 7, [], [])


def augmented(folder: Path, parts: tuple[str, ...]) -> Path:
    """Two classes of twelve photos, each in four orientations as _TURN_NUMBER.jpeg, spread over the parts."""
    for label, first in (("nut", 0), ("washer", 100)):
        for i in range(12):
            for turn in range(4):
                part = parts[(i + turn) % len(parts)]
                name = f"_{turn}_{first + 1000 + i}.jpeg"
                write(folder / part / label / name, np.ascontiguousarray(np.rot90(picture(first + i), turn)))
    return folder


class TestFamilies:
    def test_every_family_of_turned_copies_in_two_parts_is_a_leak(self, tmp_path: Path) -> None:
        folder = augmented(tmp_path / "data", ("train", "train", "val", "test"))
        leaks = found(folder, "leak")
        assert len(leaks) == 24
        assert all(len({name[-9:] for name in leak.files}) == 1 and len(leak.files) == 4 for leak in leaks)
        (by_name,) = found(folder, "name_family")
        assert by_name.detail == "24 families, such as _0_1000.jpeg and _1_1000.jpeg; 24 of them in two parts or more"

    def test_the_proposed_line_trains_with_whole_families_in_each_part(self, tmp_path: Path, program: Program) -> None:
        folder = augmented(tmp_path / "data", (".",))
        lines = program("data", "check", folder).stdout.splitlines()
        (line,) = [line.strip() for line in lines if "linnet train" in line]
        arguments = shlex.split(line.replace("RUN", str(tmp_path / "run")))[1:]
        size = ("--model", "lenet5", "--weights", "none", "--epochs", "1", "--qat-epochs", "0", "--batch-size", "8")
        program(*arguments, *size)
        splits = json.loads((tmp_path / "run" / "splits.json").read_bytes())
        numbers = [{name[-9:] for name in splits[part]} for part in ("train", "val", "test")]
        assert sum(len(of_part) for of_part in numbers) == len(set.union(*numbers)) == 24

    def test_the_page_and_the_json_have_the_pattern_too(self, tmp_path: Path, program: Program) -> None:
        folder = augmented(tmp_path / "data", (".",))
        report = json.loads(program("data", "check", folder, "--json", "--page", tmp_path / "page.html").stdout)
        assert report["group_pattern"]
        assert f"split.group_pattern={report['group_pattern']}" in html.unescape((tmp_path / "page.html").read_text())


@needs_data
class TestRealPhotos:
    def test_trashnet_has_no_turned_copies_and_no_families(self) -> None:
        checked = check(DATA / "photos" / "trash")
        kinds = Counter(finding.kind for finding in checked.findings)
        assert kinds == {"near_duplicate": 26, "conflict": 3}
        assert checked.group_pattern is None

    def test_trashnet_has_three_pictures_in_two_classes(self) -> None:
        conflicts = {finding.files for finding in found(DATA / "photos" / "trash", "conflict")}
        assert conflicts == {
            ("glass/glass115.jpg", "metal/metal91.jpg"),
            ("glass/glass176.jpg", "plastic/plastic152.jpg"),
            ("glass/glass389.jpg", "plastic/plastic332.jpg"),
        }

    def test_hands_of_one_sign_are_no_near_duplicates(self) -> None:
        findings = check(DATA / "photos" / "sign_digits").findings
        assert [finding.kind for finding in findings] == ["odd_size", "exif_rotation"]
        assert findings[0].files == findings[1].files
        assert len(findings[0].files) == 3

    def test_a_photo_in_every_exif_orientation_is_one_picture(self, tmp_path: Path) -> None:
        shutil.copytree(DATA / "exif", tmp_path / "landscape", ignore=shutil.ignore_patterns("[!L]*"))
        fill(tmp_path / "nut", 0)
        findings = {finding.kind: finding for finding in check(tmp_path).findings}
        assert len(findings["near_duplicate"].files) == 9
        assert len(findings["exif_rotation"].files) == 7, "0 means nothing and 1 upright"
