"""Gives the demo's parts their light: the lamp, the metal that mirrors it, the shadow, the tilt towards the camera.

Colours and brightness are display values as float32 BGR, 0 black to 1 white; a highlight may exceed 1.
The ranges that are written in place are proportions, chosen by eye for the look of real hardware.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from linnet_runtime.synthetic.parts import PARTS
from linnet_runtime.synthetic.relief import Array, Mask, Relief, axes

PART_SCALE = (0.25, 0.8)  # a part's longest dimension, in short sides of the frame
SMALLNESS = (1.0, 4.0)  # beta distribution over PART_SCALE, from the largest down: most photos are taken from near
SUPERSAMPLE = 1.5  # parts are drawn this much larger and shrunk by area, which antialiases them
SOBEL_TO_SLOPE = 1 / 8  # a 3 x 3 Sobel filter adds up eight differences over one pixel
BRIGHTEST = 1.6  # of a highlight: enough to stay white under a dim lamp
ENVIRONMENT_SIZE = 64  # side of the table from a surface's normal to what it reflects
BYTES_MEAN = np.float32(3 * 127.5)  # of the sum of three random bytes
BYTES_DEVIATION = np.float32(math.sqrt(3 * (256**2 - 1) / 12))
FINE_GRAIN = 4.0  # pixels; linear interpolation shows in grains that are larger
CAMERA_DISTANCE = 6.0  # from the part, in part lengths: how strong the perspective of a leaning part is
STANDING = 0.07  # height of a part's middle above the belt in part lengths, which sets its shadow's offset

METALS = (  # BGR; every class comes in every metal, so that colour gives nothing away
    (0.66, 0.66, 0.65),  # bright steel
    (0.52, 0.51, 0.50),  # dull steel
    (0.74, 0.70, 0.66),  # blue zinc
    (0.45, 0.66, 0.74),  # yellow zinc
    (0.32, 0.58, 0.72),  # brass
    (0.36, 0.45, 0.66),  # copper
    (0.17, 0.16, 0.16),  # black oxide
)
METAL_SHARES = (0.2, 0.16, 0.16, 0.16, 0.14, 0.12, 0.06)
RUST_CHANCE = 0.2
RUST = np.array((0.12, 0.24, 0.45), np.float32)


def white_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Noise of unit variance, float32 of this shape.

    The sum of three random bytes is as good as a normal deviate to the eye, and costs a fifth.
    """
    dice = np.frombuffer(rng.bytes(3 * math.prod(shape)), np.uint8).reshape(3, *shape)
    total: Array = dice[0].astype(np.float32)
    total += dice[1]
    total += dice[2]
    total -= BYTES_MEAN
    total *= 1 / BYTES_DEVIATION
    return total


def noise_field(height: int, width: int, cell: float, rng: np.random.Generator, stretch: float = 1.0) -> Array:
    """Smooth noise, float32 [height, width], about unit variance, with grains of `cell` by `cell * stretch` pixels."""
    rows, columns = max(round(height / cell), 2), max(round(width / (cell * stretch)), 2)
    grains = white_noise((rows, columns), rng)
    smooth = cell > FINE_GRAIN
    field: Array = cv2.resize(grains, (width, height), interpolation=cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR)
    return field


def centred_square(size: tuple[int, int]) -> tuple[int, int, int]:
    """Left, top and side of the centred square of a frame of (height, width)."""
    side = min(size)
    return (size[1] - side) // 2, (size[0] - side) // 2, side


def part_length(size: tuple[int, int], rng: np.random.Generator) -> float:
    """A part's longest dimension in pixels, at random, for a frame of (height, width)."""
    smallest, largest = PART_SCALE
    return min(size) * (largest - (largest - smallest) * rng.beta(*SMALLNESS))


@dataclass(frozen=True)
class Light:
    """One lamp above the belt and the light that the room adds."""

    direction: Array
    """float32 [3], unit length: towards the lamp; x right, y down, z to the camera."""
    colour: Array
    """float32 [3]: BGR gains, the lamp's temperature times its brightness."""
    falloff: float
    """How much darker the frame is far from the lamp: 0 even, 1 black at a short side's distance."""
    shadow: float
    """Depth of the shadows, 0..1."""
    softness: float
    """Blur of the shadows' edges, in part lengths."""

    @classmethod
    def random(cls, rng: np.random.Generator, harshness: float) -> "Light":
        """harshness: 0 is a well-kept station, 1 anything that a photo may meet."""
        turn, height = rng.uniform(0, 2 * math.pi), rng.uniform(0.45, 0.9)
        flat = math.sqrt(1 - height * height)
        warmth = harshness * rng.normal(0, 0.11)
        level = math.exp(harshness * rng.normal(0, 0.35))
        gains = level * np.array((1 - warmth, 1 + 0.15 * rng.normal(0, 0.1) * harshness, 1 + warmth))
        return cls(
            np.array((flat * math.cos(turn), flat * math.sin(turn), height), np.float32),
            gains.astype(np.float32),
            harshness * rng.uniform(0, 0.55),
            rng.uniform(0.3, 0.8),
            rng.uniform(0.01, 0.07),
        )

    def field(self, height: int, width: int) -> Array:
        """float32 [height, width, 3]: what a frame is multiplied by."""
        x = np.linspace(-0.5, 0.5, 32, dtype=np.float32) * np.float32(width / min(height, width))
        y = np.linspace(-0.5, 0.5, 24, dtype=np.float32)[:, None] * np.float32(height / min(height, width))
        far = np.hypot(x - 0.6 * self.direction[0], y - 0.6 * self.direction[1])
        level = np.maximum(1 + 0.3 * self.falloff - self.falloff * far, 0.1).astype(np.float32, copy=False)
        field: Array = cv2.resize(cv2.merge([level * gain for gain in self.colour]), (width, height))
        return field

    def reflections(self, angle: float, gloss: float, rng: np.random.Generator) -> Array:
        """What metal mirrors for each normal: float32 [64, 64] over nx, ny in -1..1, for a part turned by `angle`.

        The mirror of the lamp, of one window and of a ceiling that fades into the dark room below the horizon.
        """
        axis = np.linspace(-1, 1, ENVIRONMENT_SIZE, dtype=np.float32)
        nx, ny = axis[None, :], axis[:, None]
        nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0))
        to_part = np.array(((math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))))
        lamp = np.array((*(to_part @ self.direction[:2]), self.direction[2]))
        window_turn = rng.uniform(0, 2 * math.pi)
        window = np.array((0.6 * math.cos(window_turn), 0.6 * math.sin(window_turn), 0.8))
        mirrored = [2 * nz * nx, 2 * nz * ny, 2 * nz * nz - 1]
        at_lamp = sum(m * c for m, c in zip(mirrored, lamp, strict=True))
        at_window = sum(m * c for m, c in zip(mirrored, window, strict=True))
        diffuse = np.maximum(nx * lamp[0] + ny * lamp[1] + nz * lamp[2], 0)
        ceiling = 0.16 + 0.4 / (1 + np.exp(-4 * mirrored[2]))
        spread = 2 + 40 * gloss * gloss
        highlight = (0.3 + 1.3 * gloss) * np.exp(spread * (at_lamp - 1))
        highlight += 0.6 * gloss * np.exp(0.5 * spread * (at_window - 1))
        table: Array = (0.45 * diffuse + ceiling + highlight).astype(np.float32)
        return table


def _shade_metal(relief: Relief, light: Light, angle: float, rng: np.random.Generator) -> Array:
    """Premultiplied BGRA float32 [H, W, 4] of a part that will be turned by `angle`."""
    height, width = relief.height.shape
    smooth = cv2.GaussianBlur(relief.height, (0, 0), 0.7)
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=SOBEL_TO_SLOPE) + np.float32(relief.lean[0])
    slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=SOBEL_TO_SLOPE) + np.float32(relief.lean[1])
    x, y = axes(height, width)
    bow = np.float32(rng.uniform(0.1, 0.4) / max(height, width))  # no face is quite flat, and the lamp is near
    slope_x, slope_y = slope_x + bow * x, slope_y + bow * y
    wear = rng.uniform(0.0, 0.08)
    grain = noise_field(height, width, 2, rng, stretch=float(rng.choice([1, 1, 12])))
    slope_y += np.float32(wear) * grain
    half = np.float32(ENVIRONMENT_SIZE / 2)
    to_table = half / np.sqrt(slope_x * slope_x + slope_y * slope_y + 1)
    table = light.reflections(angle, float(rng.uniform(0.2, 0.8)), rng)
    seen = cv2.remap(
        table, half - slope_x * to_table, half - slope_y * to_table, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    seen *= relief.shade * (1 + np.float32(wear) * grain)
    metal = np.array(METALS[rng.choice(len(METALS), p=METAL_SHARES)], np.float32) * np.float32(rng.uniform(0.85, 1.15))
    sheen = np.maximum(seen - 1, 0) * np.float32(0.5)  # a highlight is the lamp's colour, not the metal's
    planes = [seen * channel + sheen for channel in metal]
    if rng.random() < RUST_CHANCE:
        rusty = np.clip(0.6 * noise_field(height, width, 0.2 * max(height, width), rng) + 0.2 * grain - 0.2, 0, 0.8)
        planes = [plane + rusty * (rust * seen - plane) for plane, rust in zip(planes, RUST, strict=True)]
    cover = relief.cover.astype(np.float32) / np.float32(255)
    pixels: Array = cv2.merge([np.minimum(plane, BRIGHTEST) * cover for plane in planes] + [cover])
    return pixels


@dataclass(frozen=True)
class Patch:
    """A part with its shadow, ready to be laid on a belt; the part's middle is the patch's middle."""

    colour: Array
    """float32 [H, W, 3]: BGR, premultiplied."""
    keep: Array
    """float32 [H, W, 3]: the fraction of the belt's light that remains: 0 under the part, less than 1 in its shadow."""
    cover: Array
    """float32 [H, W]: the fraction of each pixel that the part covers."""

    def lay(self, scene: Array, x: int, y: int) -> None:
        """Draw into `scene` with the patch's middle at pixel (x, y); what lies outside is cut off."""
        in_frame, inside = self._overlap(x, y, (0, 0), scene.shape[:2])
        window = scene[in_frame]
        window *= self.keep[inside]
        window += self.colour[inside]

    def visible(self, x: int, y: int, size: tuple[int, int], covering: Mask | None) -> float:
        """The fraction of the part that is seen where `lay` puts it: in the frame's centred square, under no covering.

        size: (height, width) of the frame. covering: uint8 [height, width], not 0 where something hides the belt.
        """
        left, top, side = centred_square(size)
        in_frame, inside = self._overlap(x, y, (top, left), (top + side, left + side))
        seen = self.cover[inside]
        if covering is not None:
            seen = seen[covering[in_frame] == 0]
        return float(seen.sum() / self.cover.sum())

    def _overlap(
        self, x: int, y: int, low: tuple[int, ...], high: tuple[int, ...]
    ) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """The pixels, (rows, columns), between two corners that the patch meets: in the frame and in the patch."""
        in_frame, inside = [], []
        for middle, length, first, last in zip((y, x), self.cover.shape, low, high, strict=True):
            start = middle - length // 2
            a, b = min(max(first, start), last), max(min(last, start + length), first)
            in_frame.append(slice(a, b))
            inside.append(slice(a - start, b - start))
        return tuple(in_frame), tuple(inside)


def render_part(label: str, length: float, light: Light, rng: np.random.Generator) -> Patch:
    """A part of `length` pixels, of random metal, turned and leaning at random."""
    relief = PARTS[label](round(SUPERSAMPLE * length), rng)
    angle = float(rng.uniform(0, 2 * math.pi))
    pixels = _shade_metal(relief, light, angle, rng)
    height, width = relief.cover.shape
    steep = math.hypot(*relief.lean)
    squeeze = np.eye(3)
    if steep:
        towards = np.array(relief.lean) / steep
        squeeze[:2, :2] -= (1 - math.cos(math.atan(steep))) * np.outer(towards, towards)
        squeeze[2, :2] = -np.array(relief.lean) / (CAMERA_DISTANCE * SUPERSAMPLE * length)
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array(((c, -s, 0), (s, c, 0), (0, 0, 1))) @ squeeze
    to_middle = np.array(((1, 0, -width / 2), (0, 1, -height / 2), (0, 0, 1)))
    corners = np.array((((-width, -height), (width, -height), (width, height), (-width, height)),)) / 2
    reach = np.abs(cv2.perspectiveTransform(corners, turn)).max(axis=(0, 1))
    half_width, half_height = np.ceil(reach / SUPERSAMPLE + 1).astype(int).tolist()
    from_middle = np.array(((1, 0, SUPERSAMPLE * half_width), (0, 1, SUPERSAMPLE * half_height), (0, 0, 1)))
    large_size = (round(2 * SUPERSAMPLE * half_width), round(2 * SUPERSAMPLE * half_height))
    large = cv2.warpPerspective(pixels, from_middle @ turn @ to_middle, large_size)
    small = cv2.resize(large, (2 * half_width, 2 * half_height), interpolation=cv2.INTER_AREA)
    return _with_shadow(small, length, light)


def _with_shadow(pixels: Array, length: float, light: Light) -> Patch:
    """Let a part of `length` pixels, premultiplied BGRA float32 [H, W, 4], throw its shadow on the belt."""
    offset = -STANDING * length * light.direction[:2] / light.direction[2]
    blur = max(light.softness * length, 0.5)
    room_x, room_y = np.ceil(np.abs(offset) + 3 * blur).astype(int).tolist()
    padded = cv2.copyMakeBorder(pixels, room_y, room_y, room_x, room_x, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    cover = cv2.extractChannel(padded, 3)
    move = np.array(((1, 0, offset[0]), (0, 1, offset[1])))
    shadow = cv2.GaussianBlur(cv2.warpAffine(cover, move, cover.shape[::-1]), (0, 0), blur)
    keep = (1 - cover) * (1 - np.float32(light.shadow) * shadow)
    return Patch(cv2.cvtColor(padded, cv2.COLOR_BGRA2BGR), cv2.merge((keep, keep, keep)), cover)
