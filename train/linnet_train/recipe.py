"""Everything that decides what a run becomes: the network, the data's division and the schedule."""

from __future__ import annotations

from typing import Literal

import msgspec

CONFIG = "config.json"  # in a run's directory


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``linnet train`` was asked for; ``RUN/config.json`` keeps it.

    ``alpha`` is None where the network has one width. Epochs: ``head_epochs`` train the head alone where the backbone
    has weights already, ``epochs`` the whole network, ``qat_epochs`` the fake-quantised one. Learning rates are the
    first ones of a cosine that ends at zero.
    """

    data: str
    model: str = "mobilenet_v2"
    alpha: float | None = 0.35
    size: int = 160
    crop: Literal["centre", "stretch"] = "centre"
    weights: str = "imagenet"
    head_epochs: int = 3
    epochs: int = 12
    qat_epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 1e-3
    qat_learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    dropout: float = 0.2
    augment: Literal["upright", "overhead", "none"] = "upright"
    seed: int = 0
