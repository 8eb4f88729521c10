"""The settings of augmentation: the recipe's table ``[augment]``. This module does not import Keras."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

View = Literal["upright", "overhead", "none"]
Flip = Literal["none", "horizontal", "vertical", "both", "any"]
Share = Annotated[float, msgspec.Meta(ge=0, le=0.9)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]

_VIEWS = {
    "upright": {"flip": "horizontal", "shift": 0.08, "zoom": 0.12, "brightness": 0.1, "contrast": 0.2},
    "overhead": {"flip": "any", "shift": 0.08, "zoom": 0.12, "brightness": 0.1, "contrast": 0.2},
    "none": {"flip": "none", "shift": 0.0, "zoom": 0.0, "brightness": 0.0, "contrast": 0.0},
}


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far the photos of a training step are varied at most. 0 is not at all; None is the value of the view."""

    view: View = "upright"
    """The camera's view. "upright": photos may be mirrored. "overhead": photos may also be turned. "none": no value of
    its own.
    """
    flip: Flip | None = None
    """The directions in which photos are mirrored. "any" is one of the eight orientations."""
    shift: Share | None = None
    """The shift, as a share of the side."""
    zoom: Share | None = None
    """The zoom in or out, as a share of the side."""
    crop: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """The smallest share of the area that a random crop keeps; 1: no crop."""
    rotate: Annotated[float, msgspec.Meta(ge=0, le=180)] = 0.0
    """The rotation in degrees."""
    brightness: Probability | None = None
    """The change of brightness, as a share of 255."""
    contrast: Share | None = None
    """The relative change of contrast."""
    saturation: Probability = 0.0
    """The relative change of saturation."""
    hue: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.0
    """The change of hue, as a share of the color circle."""
    noise: Probability = 0.0
    """The standard deviation of Gaussian noise, as a share of 255."""
    blur: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    """The standard deviation of Gaussian blur in pixels."""
    randaugment: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0
    """The number of RandAugment operations on each photo."""
    randaugment_magnitude: Annotated[float, msgspec.Meta(ge=0, le=10)] = 5.0
    """The magnitude of these operations."""
    erase: Probability = 0.0
    """The probability that a rectangle is erased."""
    mixup: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    """The alpha of MixUp's Beta distribution."""
    cutmix: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    """The alpha of CutMix's Beta distribution."""

    @property
    def mixes(self) -> bool:
        """Whether photos and their labels are mixed."""
        return bool(self.mixup or self.cutmix)

    def resolved(self) -> Augmentation:
        """These settings with the values of the view instead of None."""
        by_view = {name: value for name, value in _VIEWS[self.view].items() if getattr(self, name) is None}
        return msgspec.structs.replace(self, **by_view)

    def active(self) -> dict[str, float | str]:
        """The settings that change photos, by name, including those of the view."""
        mine, off = self.resolved(), Augmentation(view="none").resolved()
        on = {name for name in self.__struct_fields__ if getattr(mine, name) != getattr(off, name)} - {"view"}
        magnitude = "randaugment_magnitude"
        on = on | {magnitude} if self.randaugment else on - {magnitude}
        return {name: getattr(mine, name) for name in self.__struct_fields__ if name in on}
