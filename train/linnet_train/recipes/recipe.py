"""The recipe: all settings of a training run."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linnet_runtime.crops import Crop
from linnet_train.augment.settings import Augmentation
from linnet_train.recipes.schedules import Cosine, Count, Schedule, Share

Precision = Literal["float32", "bfloat16", "float16"]

_Rate = Annotated[float, Meta(gt=0)]
_NotNegative = Annotated[float, Meta(ge=0)]
_Epochs = Annotated[int, Meta(ge=0)]
_DropShare = Annotated[float, Meta(ge=0, le=0.9)]

Optimizer = dict[str, str | float | int | bool | list[str]]
# Adam's beta_2 of 0.999 averages over more steps than a small data set gives: with 0.95, a short run on 1,260 photos
# reached 0.95 instead of 0.89.
_ADAMW: Optimizer = {"name": "AdamW", "weight_decay": 1e-4, "beta_2": 0.95}


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a recipe."""


class _Loss(_Table, frozen=True, tag_field="name"):
    """The settings of every loss."""

    label_smoothing: _DropShare = 0.1
    """The share of the label that is spread over all classes (Szegedy et al., 2015)."""
    class_weights: bool = False
    """Whether photos are weighted so that every class of the training part has the same total weight."""


class CrossEntropy(_Loss, frozen=True, tag="cross_entropy"):
    """The cross-entropy of the label."""


class Focal(_Loss, frozen=True, tag="focal"):
    """The cross-entropy times (1 - p) ** ``gamma``: well classified photos have less weight (Lin et al., 2017)."""

    label_smoothing: _DropShare = 0.0
    """As in the other losses."""
    gamma: _NotNegative = 2.0
    """0 is plain cross-entropy."""


class Regularization(_Table, frozen=True):
    """The means against overfitting."""

    dropout: _DropShare = 0.2
    """The share of features that the classifier does not see in a training step."""
    l2: _NotNegative = 0.0
    """The factor of the sum of the squared kernels in the loss."""
    stochastic_depth: _DropShare = 0.0
    """The probability that a training step drops the last residual branch of a photo; for earlier branches it is
    proportionally smaller.
    """
    early_stopping: Count | None = None
    """The last float phase ends after this many epochs without a lower validation loss, and keeps the weights of its
    best epoch. They are also kept if it runs to its end.
    """
    ema: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """The momentum of the moving average of the weights in the float phases. Validation uses the average, and the run
    keeps it.
    """


class Whole(_Table, frozen=True, tag="whole", tag_field="name"):
    """Trains the head for ``head_epochs``, then the whole network."""


class Features(_Table, frozen=True, tag="features", tag_field="name"):
    """Trains only the head; the backbone keeps its initial weights."""


class Last(_Table, frozen=True, tag="last", tag_field="name"):
    """Trains the head, then also the last part of the backbone. One of the two keys is needed."""

    blocks: Count | None = None
    """The number of blocks of that part."""
    layer: str | None = None
    """The name of the first layer of that part."""

    def __post_init__(self) -> None:
        """Raises ValueError; a decoder adds the JSON path."""
        if (self.blocks is None) == (self.layer is None):
            raise ValueError("blocks or layer, one of the two")


class Gradual(_Table, frozen=True, tag="gradual", tag_field="name"):
    """Trains the head, then more of the blocks in each stage, and the whole network in the last one (Howard and Ruder,
    "ULMFiT", 2018).
    """

    stages: Annotated[int, Meta(ge=2)] = 4
    """The number of stages, of equally many epochs."""


class Distillation(_Table, frozen=True):
    """Distillation: the network also learns from the probabilities of a teacher (Hinton et al., 2015)."""

    teacher: str
    """A .keras file. It takes pixels of 0..255 in the network's size, and has the same classes in the same order."""
    temperature: _Rate = 4.0
    """The divisor of the teacher's and the network's logits."""
    weight: Share = 0.5
    """The teacher's share of the loss."""


class Split(_Table, frozen=True):
    """The split of photos where DATA has no parts of its own. Each part has the classes in the same proportion."""

    folds: Annotated[int, Meta(ge=3)] = 5
    """The number of equal folds. One is the test part, one is validation, and the others are for training."""
    fold: Count | Literal["each"] | None = None
    """The fold of the test part, from 1; None is the first. The next fold is validation. "each" is cross-validation:
    a run for each fold.
    """
    group_column: str | None = None
    """A column of a CSV file. Photos with the same value in it stay in one part. None: the column ``group``, if it
    exists.
    """
    group_pattern: str | None = None
    """A regular expression with one group, searched in each photo's path relative to DATA. Photos in which the group
    matches the same text stay in one part.
    """

    def __post_init__(self) -> None:
        """Raises ValueError; a decoder adds the JSON path."""
        if isinstance(self.fold, int) and self.fold > self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}")
        if self.group_pattern is None:
            return
        if self.group_column is not None:
            raise ValueError("group_column or group_pattern, one of the two")
        try:
            groups = re.compile(self.group_pattern).groups
        except re.error as error:
            raise ValueError(f"group_pattern {self.group_pattern!r}: {error}") from error
        if groups != 1:
            raise ValueError(f"group_pattern {self.group_pattern!r} with {groups} groups in brackets, not one")


class Recipe(_Table, frozen=True):
    """The settings of a run; ``RUN/config.json`` keeps them."""

    data: str
    """The folder or table of photos."""
    model: str = "mobilenet_v2"
    """The name of the network; ``linnet models`` lists them."""
    alpha: Annotated[float, Meta(gt=0)] | None = 0.35
    """The width multiplier; None for a network with one width."""
    size: Annotated[int, Meta(ge=32)] = 160
    """Height and width of the network's input in pixels."""
    crop: Crop = "centre"
    """How photos are made square: cut from the center, stretched, or padded with a gray border."""
    weights: str = "imagenet"
    """The initial weights: "imagenet" (a download), "none", or a .weights.h5, .keras or .safetensors file."""
    head_epochs: _Epochs = 3
    """The epochs that train only the head. Not used with ``weights="none"``."""
    epochs: Count = 12
    """The epochs of float training behind them; ``transfer`` says which layers train."""
    qat_epochs: _Epochs = 4
    """The epochs of quantization-aware training. 0: calibration only."""
    batch_size: Count = 32
    """The photos of a training step."""
    learning_rate: _Rate = 1e-3
    """The peak learning rate of float training."""
    qat_learning_rate: _Rate = 1e-4
    """The peak learning rate of quantization-aware training."""
    optimizer: Optimizer = msgspec.field(default_factory=lambda: dict(_ADAMW))
    """The ``name`` of a Keras optimizer, and its arguments."""
    schedule: Schedule = Cosine()
    """The learning-rate schedule of ``epochs``. Quantization-aware training has a cosine that ends at zero."""
    loss: CrossEntropy | Focal = CrossEntropy()
    """The loss."""
    regularization: Regularization = Regularization()
    """The means against overfitting."""
    transfer: Whole | Features | Last | Gradual = Whole()
    """Which layers train."""
    distillation: Distillation | None = None
    """A teacher to learn from as well; None: no teacher."""
    augment: Augmentation = Augmentation()
    """The augmentation of photos in training steps."""
    split: Split = Split()
    """How the photos are split into training, validation and test."""
    sampling: Literal["natural", "balanced"] = "natural"
    """"natural": each photo once in an epoch. "balanced": each class equally often."""
    precision: Precision = "float32"
    """The precision in which layers compute in float training. Weights, files and quantization-aware training are
    float32: bfloat16 has fewer levels than int8.
    """
    devices: Count | None = None
    """The number of devices that share each batch; None: all that JAX sees."""
    seed: Annotated[int, Meta(ge=0)] = 0
    """The seed of the split, the order of the photos, the augmentation and the initial weights."""
