"""Writes the picture that the virtual camera shows: stripes in red, green and blue, the green one bright."""

import sys

import cv2
import numpy as np

STRIPES = ((20, 20, 180), (60, 230, 60), (180, 20, 20))  # BGR, from left to right


def picture() -> np.ndarray:
    """uint8 [480, 640, 3], BGR."""
    pixels = np.zeros((480, 640, 3), np.uint8)
    for i, color in enumerate(STRIPES):
        pixels[:, i * 640 // 3 : (i + 1) * 640 // 3] = color
    pixels[:, 639] = STRIPES[-1]
    return pixels


if __name__ == "__main__":
    cv2.imwrite(sys.argv[1], picture(), [cv2.IMWRITE_JPEG_QUALITY, 95])
