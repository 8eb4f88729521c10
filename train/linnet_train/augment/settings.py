"""What may happen to a photo before a training step: the recipe's table ``[augment]``. Imports no Keras."""

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
    """How far each photo of a training step is varied; 0 is not at all, None is what ``view`` says.

    ``view`` is how the camera sees things: "upright", where left and right may be exchanged; "overhead", where they
    lie any way round; "none" varies nothing by itself. ``flip`` "any" is each of the eight orientations.

    ``crop`` is the smallest share of the area that is kept (1: all of it), ``rotate`` is in degrees, ``shift`` and
    ``zoom`` in shares of the side, ``blur`` the largest standard deviation in pixels, ``noise`` and ``brightness`` in
    shares of 255. ``contrast`` and ``saturation`` are the largest relative changes, ``hue`` the largest part of a turn
    of the colour circle. ``randaugment`` is the number of its operations, ``erase`` the probability of an erased
    rectangle, ``mixup`` and ``cutmix`` are the alphas of their Beta distributions.
    """

    view: View = "upright"
    flip: Flip | None = None
    shift: Share | None = None
    zoom: Share | None = None
    crop: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    rotate: Annotated[float, msgspec.Meta(ge=0, le=180)] = 0.0
    brightness: Probability | None = None
    contrast: Share | None = None
    saturation: Probability = 0.0
    hue: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.0
    noise: Probability = 0.0
    blur: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    randaugment: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0
    randaugment_magnitude: Annotated[float, msgspec.Meta(ge=0, le=10)] = 5.0
    erase: Probability = 0.0
    mixup: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    cutmix: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0

    @property
    def mixes(self) -> bool:
        """Whether photos are mixed, and with them their labels."""
        return bool(self.mixup or self.cutmix)

    def resolved(self) -> Augmentation:
        """The same with the numbers of the view in the place of None."""
        by_view = {name: value for name, value in _VIEWS[self.view].items() if getattr(self, name) is None}
        return msgspec.structs.replace(self, **by_view)

    def active(self) -> dict[str, float | str]:
        """What is switched on, by field, the numbers of the view included."""
        mine, off = self.resolved(), Augmentation(view="none").resolved()
        on = {name for name in self.__struct_fields__ if getattr(mine, name) != getattr(off, name)} - {"view"}
        magnitude = "randaugment_magnitude"
        on = on | {magnitude} if self.randaugment else on - {magnitude}
        return {name: getattr(mine, name) for name in self.__struct_fields__ if name in on}
