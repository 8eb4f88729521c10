"""MobileNetV1 and V2, from keras.applications."""

from __future__ import annotations

from typing import Any

import keras


def mobilenet_v1(x: Any, *, alpha: float) -> Any:
    """Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications" (2017)."""
    return keras.applications.MobileNet(input_tensor=x, alpha=alpha, include_top=False, weights=None).output


def mobilenet_v2(x: Any, *, alpha: float) -> Any:
    """Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks" (2018)."""
    return keras.applications.MobileNetV2(input_tensor=x, alpha=alpha, include_top=False, weights=None).output
