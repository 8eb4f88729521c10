"""The bytes that preprocessing must give, as SHA-256 over pictures made by integer arithmetic.

They are a contract: a model sees these pixels whatever the processor, the OpenCV and the NumPy. As a script it checks
the interpreter that runs it, prints what differs and exits 1; it needs NumPy, OpenCV and the runtime, and no pytest.
"""

from __future__ import annotations

import hashlib
import sys
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from linnet_runtime.preprocess import Color, Preprocess, preprocess


class Case(NamedTuple):
    """A picture's height, width and colour order, what is made of it, and the hash of that."""

    height: int
    width: int
    color: Color
    spec: Preprocess
    sha256: str


def centre(height: int, width: int) -> Preprocess:
    return Preprocess(height=height, width=width)


def stretch(height: int, width: int) -> Preprocess:
    return Preprocess(height=height, width=width, crop="stretch")


def pad(height: int, width: int) -> Preprocess:
    return Preprocess(height=height, width=width, crop="pad")


CASES = {
    "a camera's frame": Case(
        480, 640, "bgr", centre(224, 224), "bf68b493afd168a2d2bae358a880f177de4048aef1d6f703352b74a587826cee"
    ),
    "the same frame as RGB": Case(
        480, 640, "rgb", centre(224, 224), "379e236082fbbc088d4e7371caaf1bc0a67f1ab344585925c0ff200095c5dbb5"
    ),
    "the same frame in grey": Case(
        480, 640, "gray", centre(224, 224), "c9121d502da4fced16df77e111ea7f47e5cb5d886942da21ee951849ed842e21"
    ),
    "the whole frame": Case(
        480, 640, "bgr", stretch(224, 224), "972202237b6de0cbf6a0e55516fdb6e8d14d1365853813846a351606cd09690a"
    ),
    "full HD": Case(
        1080, 1920, "bgr", centre(224, 224), "a33bcc68c3f028393029fc80e4c5e32eae4fed1d5d4f5f20dd9020b71da84628"
    ),
    "full HD, the whole of it": Case(
        1080, 1920, "bgr", stretch(224, 224), "6d01c29928cb14650d6038e651d031acb07824bc76cc26b1be2afebdf8852e89"
    ),
    "full HD to a small network": Case(
        1080, 1920, "bgr", centre(96, 96), "843c0059b74f55220309403bccfe66b5fecaa8da5078b0e1006d49e706d75340"
    ),
    "upright": Case(
        640, 480, "bgr", centre(160, 160), "577af005f17290e4b5f850ecca2b600a933e163c13aca981c628249c2e2e33db"
    ),
    "smaller than the model": Case(
        80, 100, "bgr", centre(224, 224), "487da8fd9aee3fbec290863d879ded1ba4bcf63526166c537d973c933edfcd17"
    ),
    "larger one way and smaller the other": Case(
        100, 900, "rgb", stretch(224, 224), "eac7ab72c597f6360dd5d92ac478389319c3f29a3e446a925ee9f33f035df4ce"
    ),
    "odd sides": Case(
        479, 641, "bgr", centre(223, 223), "933254fd5bc59c7e106f8240c8413ace4fe63329ee3dd79291071355d860d5f0"
    ),
    "odd sides that halve to odd ones": Case(
        777, 333, "rgb", stretch(83, 83), "cdf07f731ad39823f144d370158f00d02ff584ea278aded644ebf2a32a966953"
    ),
    "the model's own size": Case(
        224, 224, "bgr", centre(224, 224), "1ee2aaf6b729ea8d104b933b5a3e83f3e8dd16047d3d59201e8a75354a081464"
    ),
    "twice the model's size": Case(
        448, 448, "bgr", centre(224, 224), "9e2b901702b2d372c5acdd874131db3abda4549ec3e0c6923faa24f10067295f"
    ),
    "one pixel less than twice": Case(
        447, 447, "bgr", centre(224, 224), "4b6b9e774820291455ac12dbdbbd2cfec910cdbca5285076e5cbaaab9893acd5"
    ),
    "a wide model": Case(
        480, 640, "bgr", centre(96, 160), "c3a1996d63abc693a3ad3567fb0a30db87949b42626b6768627e38ec9c369022"
    ),
    "a tall model": Case(
        480, 640, "bgr", centre(160, 96), "7787479b0b79f8a3517ae5d26c9e2f27d24bba62c5559c6b6eb40b95e60f3cab"
    ),
    "a wide model, the whole frame": Case(
        480, 640, "rgb", stretch(96, 160), "48202ca6e44325a4f522117f0307035f6d47ca8105b89cd6960e72930433079b"
    ),
    "a strip": Case(3, 2000, "bgr", centre(32, 32), "bf192e3c69c184414cba0aa8362a21af62bb116405fa37295835abea329d4acb"),
    "a strip, the whole of it": Case(
        3, 2000, "bgr", stretch(32, 32), "0d93b6d1a90950ca3aec2897959af5446dfed3c8834c9ce42a6dd6f09758d1df"
    ),
    "an upright strip": Case(
        2000, 3, "gray", stretch(32, 32), "58011aadbc7d53a8a063910d3a11f26885158ec09f2cbc3f839811a25084a411"
    ),
    "a strip narrower than a wide model's aspect": Case(
        2000, 1, "bgr", centre(32, 64), "aeb7f2941830fe41dbb26b7dd3dc7901ab88435959c95649d38dd13cfb94c912"
    ),
    "one pixel": Case(1, 1, "bgr", centre(32, 32), "2f7ca091b5ff5f02a3dae2fb918a6201224cb5c414954eabf59df47e31e9b074"),
    "one grey pixel": Case(
        1, 1, "gray", stretch(32, 32), "e80232b4d18d0bb7e794be263ba937626f383f9917d4b8a737ba893a8f752293"
    ),
    "the whole frame in a border": Case(
        480, 640, "bgr", pad(224, 224), "01adc3e2d0c5b46b07e52727fed9f227f08a19356f1492a0e0845a8639eade28"
    ),
    "the whole frame in a border, as RGB": Case(
        480, 640, "rgb", pad(224, 224), "ba38d3b189f2ded125a31a91a6470621c09d6fa3f617178b75230d1a0d5c1240"
    ),
    "the whole frame in a border, in grey": Case(
        480, 640, "gray", pad(224, 224), "0046528a5cbf405a5c725be924aaa6b7d115e93ee149e9de48eda73630d81853"
    ),
    "full HD in a border": Case(
        1080, 1920, "bgr", pad(224, 224), "964b022280e70560d56f39a4ca156128698a9b603659578b50de3ea4cf520806"
    ),
    "full HD in a border, for a small network": Case(
        1080, 1920, "bgr", pad(96, 96), "57b67bccbefa2fc9500fffb9999f9b51760d868fdd534bc711743632d29b3c48"
    ),
    "upright, in a border at the sides": Case(
        777, 333, "rgb", pad(83, 83), "22f0c7e1180e00d54c1a4eb94971c51d59aa09baf01672140ca4cdf2f21913d7"
    ),
    "an uneven border around a wide model's picture": Case(
        100, 100, "rgb", pad(95, 160), "002b8e5e8677d7e43f8b85f67b06f815acdc40b77d740c0abf8852ad21ea6e4b"
    ),
    "a picture that fits one way and is enlarged": Case(
        20, 30, "bgr", pad(64, 64), "fb39aea44bcfaf7f3a5b2df74dd5a946692e2b39ccc179b63041ee9a58d759c5"
    ),
    "a strip, of which one row is left": Case(
        3, 2000, "bgr", pad(32, 32), "6b4d4aa42d0a0e3189d18497b18775adf7dc5e10b9531351267e81ab139f4841"
    ),
    "a column, of which one column is left": Case(
        2000, 3, "gray", pad(32, 32), "37fbde82bb1a3a7642abaafa3e24be6eb4406521e2423b3e850d54e1048cbbb6"
    ),
    "one pixel, without a border": Case(
        1, 1, "bgr", pad(32, 32), "2f7ca091b5ff5f02a3dae2fb918a6201224cb5c414954eabf59df47e31e9b074"
    ),
}


def picture(height: int, width: int, color: Color) -> NDArray[np.uint8]:
    """A picture with slopes, edges and grain in every channel: uint8 [H, W, 3], or [H, W] for "gray"."""
    y, x = np.arange(height, dtype=np.int64)[:, None], np.arange(width, dtype=np.int64)[None, :]
    channels = []
    for c in range(1 if color == "gray" else 3):
        slope = 131 * (c + 1) * x // width + 97 * y // height
        edges = 60 * ((x // 7 + y // (5 + c)) % 2)
        grain = ((x * 73856093) ^ (y * 19349663) ^ (c * 83492791)) // 32 % 23
        channels.append((slope + edges + grain) % 256)
    return np.stack(channels, axis=-1).astype(np.uint8).reshape(height, width, *(() if color == "gray" else (3,)))


def digest(case: Case) -> str:
    """The SHA-256 of what preprocessing makes of the case's picture."""
    pixels = preprocess(picture(case.height, case.width, case.color), case.spec, color=case.color)
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def main() -> int:
    differences = {name: found for name, case in CASES.items() if (found := digest(case)) != case.sha256}
    for name, found in differences.items():
        print(f"{name}: got {found}, expected {CASES[name].sha256}")
    print(f"OpenCV {cv2.__version__}, NumPy {np.__version__}: {len(CASES) - len(differences)} of {len(CASES)} equal")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
