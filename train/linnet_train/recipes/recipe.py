"""Everything that decides what a run becomes: the network, the data's division and the schedule."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linnet_train.augment.settings import Augmentation
from linnet_train.recipes.schedules import Cosine, Count, Schedule, Share

Precision = Literal["float32", "bfloat16", "float16"]

_Rate = Annotated[float, Meta(gt=0)]
_NotNegative = Annotated[float, Meta(ge=0)]
_Epochs = Annotated[int, Meta(ge=0)]
_DropShare = Annotated[float, Meta(ge=0, le=0.9)]

Optimizer = dict[str, str | float | int | bool | list[str]]
# Adam's 0.999 averages over more steps than small data gives: 0.95 took a short run on 1,260 photos from 0.89 to 0.95.
_ADAMW: Optimizer = {"name": "AdamW", "weight_decay": 1e-4, "beta_2": 0.95}


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a recipe."""


class _Loss(_Table, frozen=True, tag_field="name"):
    """``label_smoothing`` is Szegedy et al.'s (2015). With ``class_weights`` the classes that the training part has
    few photos of count for more, so that each class counts alike.
    """

    label_smoothing: _DropShare = 0.1
    class_weights: bool = False


class CrossEntropy(_Loss, frozen=True, tag="cross_entropy"):
    """Cross-entropy."""


class Focal(_Loss, frozen=True, tag="focal"):
    """Cross-entropy times (1 - p) ** ``gamma``: what is classified well counts for less (Lin et al., 2017)."""

    label_smoothing: _DropShare = 0.0
    gamma: _NotNegative = 2.0


class Regularization(_Table, frozen=True):
    """What keeps a network from learning its training photos by heart.

    Args:
        dropout: the share of features that the classifier does not see in a training step.
        l2: this, times the sum of the squared kernels, is added to the loss.
        stochastic_depth: the share of steps in which a photo leaves out the last residual branch; earlier ones less.
        early_stopping: epochs without a lower validation loss after which the last float phase ends. Whether it does
            or not, the weights of its best epoch stay.
        ema: momentum of the moving average of the weights in the float phases; the average is judged and kept.
    """

    dropout: _DropShare = 0.2
    l2: _NotNegative = 0.0
    stochastic_depth: _DropShare = 0.0
    early_stopping: Count | None = None
    ema: Annotated[float, Meta(gt=0, lt=1)] | None = None


class Whole(_Table, frozen=True, tag="whole", tag_field="name"):
    """The head alone for ``head_epochs``, then the whole network."""


class Features(_Table, frozen=True, tag="features", tag_field="name"):
    """The head alone; the backbone stays as its weights are."""


class Last(_Table, frozen=True, tag="last", tag_field="name"):
    """The head alone, then also the last ``blocks`` of the backbone, or its layers from ``layer`` on."""

    blocks: Count | None = None
    layer: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, to which a decoder adds the JSON path."""
        if (self.blocks is None) == (self.layer is None):
            raise ValueError("blocks or layer, one of the two")


class Gradual(_Table, frozen=True, tag="gradual", tag_field="name"):
    """The head alone, then the epochs in equal ``stages``, each of which trains a further share of the blocks, the
    last one the whole network (Howard and Ruder, "ULMFiT", 2018).
    """

    stages: Annotated[int, Meta(ge=2)] = 4


class Distillation(_Table, frozen=True):
    """Learning from a teacher's probabilities too (Hinton et al., 2015).

    Args:
        teacher: a .keras file that takes our pixels and knows our classes.
        temperature: of both softmaxes.
        weight: the share of the loss that is the teacher's.
    """

    teacher: str
    temperature: _Rate = 4.0
    weight: Share = 0.5


class Split(_Table, frozen=True):
    """How photos are divided where DATA has no parts of its own, the classes in the same proportion in each.

    Args:
        folds: how many equal folds; one is the test part, one validation, the others are learnt.
        fold: which of them is the test part, the first where it is None; the next one is validation. "each" is
            cross-validation: a run for each.
        group_column: a CSV file's column. Photos that are equal in it are all in one part. None is the column
            ``group``, where there is one.
        group_pattern: a regular expression with one group, searched in each photo's path relative to DATA; photos in
            which it finds the same are all in one part.
    """

    folds: Annotated[int, Meta(ge=3)] = 5
    fold: Count | Literal["each"] | None = None
    group_column: str | None = None
    group_pattern: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, to which a decoder adds the JSON path."""
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
            raise ValueError(f"group_pattern {self.group_pattern!r} with {groups} groups in brackets; one is wanted")


class Recipe(_Table, frozen=True):
    """What ``linnet train`` was asked for; ``RUN/config.json`` keeps it.

    ``alpha`` is None where the network has one width. Epochs: ``head_epochs`` train the head alone where the backbone
    has weights already, ``epochs`` what ``transfer`` says, ``qat_epochs`` the fake-quantized network. ``schedule`` is
    that of ``epochs``; the quantized ones have a cosine that ends at zero. ``optimizer`` is the name of one of
    Keras's with its arguments. In the float phases layers compute in ``precision``; weights and models stay float32,
    and so does what is fake-quantized: bfloat16 has fewer levels than int8. A batch is shared by so many ``devices``,
    None being all that JAX sees. With ``sampling`` "balanced" an epoch has each class equally often.
    """

    data: str
    model: str = "mobilenet_v2"
    alpha: Annotated[float, Meta(gt=0)] | None = 0.35
    size: Annotated[int, Meta(ge=32)] = 160
    crop: Literal["centre", "stretch"] = "centre"
    weights: str = "imagenet"
    head_epochs: _Epochs = 3
    epochs: Count = 12
    qat_epochs: _Epochs = 4
    batch_size: Count = 32
    learning_rate: _Rate = 1e-3
    qat_learning_rate: _Rate = 1e-4
    optimizer: Optimizer = msgspec.field(default_factory=lambda: dict(_ADAMW))
    schedule: Schedule = Cosine()
    loss: CrossEntropy | Focal = CrossEntropy()
    regularization: Regularization = Regularization()
    transfer: Whole | Features | Last | Gradual = Whole()
    distillation: Distillation | None = None
    augment: Augmentation = Augmentation()
    split: Split = Split()
    sampling: Literal["natural", "balanced"] = "natural"
    precision: Precision = "float32"
    devices: Count | None = None
    seed: Annotated[int, Meta(ge=0)] = 0
