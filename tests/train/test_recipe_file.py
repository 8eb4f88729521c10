"""A recipe comes from a file, flags and --set, later ones over earlier ones, and a slip gets one line with its path."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from linnet_runtime.toml_settings import SettingsError, merge, parse_setting
from linnet_train.errors import TrainingError
from linnet_train.recipes.reading import read_recipe, to_recipe
from linnet_train.recipes.recipe import Distillation, Focal, Last, Recipe, Regularization
from linnet_train.recipes.schedules import Cosine, Plateau
from linnet_train.training.optimizers import build_optimizer
from networks import TINY
from program import ROOT, Program, one_line_error

EVERYTHING = """
model = "efficientnet_lite0"
size = 96
weights = "lite0.safetensors"
epochs = 30
learning_rate = 0.05

[optimizer]
name = "SGD"
momentum = 0.9
nesterov = true

[schedule]
name = "plateau"
patience = 2

[loss]
name = "focal"
gamma = 1.5
class_weights = true

[regularization]
l2 = 1e-4
stochastic_depth = 0.2
early_stopping = 5
ema = 0.99

[transfer]
name = "last"
blocks = 3

[distillation]
teacher = "teacher.keras"
"""


def test_a_file_says_everything(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(EVERYTHING)
    recipe = to_recipe({"data": "photos", **read_recipe(tmp_path / "recipe.toml")})
    assert (recipe.model, recipe.size, recipe.epochs, recipe.learning_rate) == ("efficientnet_lite0", 96, 30, 0.05)
    assert recipe.optimizer == {"name": "SGD", "momentum": 0.9, "nesterov": True}
    assert recipe.schedule == Plateau(patience=2)
    assert recipe.loss == Focal(gamma=1.5, class_weights=True)
    assert recipe.regularization == Regularization(l2=1e-4, stochastic_depth=0.2, early_stopping=5, ema=0.99)
    assert recipe.transfer == Last(blocks=3)
    assert recipe.distillation == Distillation(teacher="teacher.keras")
    assert (recipe.batch_size, recipe.seed) == (32, 0), "defaults stand for what is not said"


def test_what_the_documentation_shows_is_a_recipe() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        build_optimizer(to_recipe({"data": "", **tomllib.loads(block)}).optimizer)
    optimizers = re.findall(r"\| (`name = .*`) \|", page)
    assert len(optimizers) == 8
    for line in optimizers:
        build_optimizer(tomllib.loads(line.replace("`, `", "\n").strip("`")))


def test_a_table_without_a_name_changes_the_default() -> None:
    recipe = to_recipe({"data": "", "schedule": {"warm_up": 0.3}, "optimizer": {"weight_decay": 0.01}})
    assert recipe.schedule == Cosine(warm_up=0.3)
    assert recipe.optimizer == {"name": "AdamW", "weight_decay": 0.01, "beta_2": 0.95}
    assert to_recipe({"data": "", "optimizer": {"name": "Adam"}}).optimizer == {"name": "Adam"}, "its own defaults"


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("optimizer.momentum=0.9", {"optimizer": {"momentum": 0.9}}),
        ("optimizer.nesterov = true", {"optimizer": {"nesterov": True}}),
        ('transfer.layer="block_13_expand"', {"transfer": {"layer": "block_13_expand"}}),
        ("optimizer.name=SGD", {"optimizer": {"name": "SGD"}}),  # a shell takes the quotes away
        ("epochs=3", {"epochs": 3}),
    ],
)
def test_a_setting_is_a_line_of_toml(text: str, tables: dict[str, object]) -> None:
    assert parse_setting(text) == tables


@pytest.mark.parametrize("text", ["epochs", "=3", "a b=3", ""])
def test_what_is_no_setting_gets_one_line(text: str) -> None:
    with pytest.raises(SettingsError, match="got no setting, expected KEY=VALUE"):
        parse_setting(text)


def test_later_tables_go_over_earlier_ones() -> None:
    under = {"epochs": 3, "optimizer": {"name": "SGD", "momentum": 0.9}}
    assert merge(under, {"optimizer": {"momentum": 0.5}, "seed": 1}) == {
        **{"epochs": 3, "seed": 1},
        "optimizer": {"name": "SGD", "momentum": 0.5},
    }
    assert under["optimizer"] == {"name": "SGD", "momentum": 0.9}


WRONG = {
    "epohcs = 3": "recipe $: got 'epohcs', expected one of epochs",
    "[optimiser]\nname = 'SGD'": "recipe $: got 'optimiser', expected optimizer",
    "[schedule]\nname = 'cosin'": "recipe $.schedule.name: got 'cosin', expected cosine",
    "[schedule]\nname = 'step'": "recipe $.schedule: got Object missing required field `every`",
    "[loss]\nname = 'focal'\ngama = 1": "recipe $.loss: got 'gama', expected gamma",
    "[regularization]\ndropuot = 0.1": "recipe $.regularization: got 'dropuot', expected dropout",
    "[regularization]\nema = 1.5": "recipe $.regularization.ema: got 1.5, expected float < 1.0",
    "[transfer]\nname = 'last'": "recipe $.transfer: got blocks or layer, one of the two",
    "[transfer]\nname = 'gradually'": "recipe $.transfer.name: got 'gradually', expected gradual",
    "epochs = 0": "recipe $.epochs: got 0, expected int >= 1",
    "epochs = '3'": "recipe $.epochs: got '3', expected int",
    "schedule = 'cosine'": "recipe $.schedule: got 'cosine', expected object",
}


@pytest.mark.parametrize(("text", "says"), WRONG.items(), ids=[text.replace("\n", " ") for text in WRONG])
def test_a_slip_gets_one_line(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(TrainingError) as caught:
        to_recipe({"data": "", **read_recipe(tmp_path / "recipe.toml")})
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("content", [b"epochs = ", b"\xff\xfe", None], ids=["TOML", "encoding", "missing"])
def test_a_file_that_cannot_be_read_gets_one_line(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "recipe.toml").write_bytes(content)
    with pytest.raises(TrainingError, match=r"recipe\.toml: got .*, expected a"):
        read_recipe(tmp_path / "recipe.toml")


def test_flags_go_over_the_file_and_a_run_can_be_repeated(easy_photos: Path, tmp_path: Path, program: Program) -> None:
    """What was used is in config.json, and that is a recipe too."""
    (tmp_path / "recipe.toml").write_text(
        'epochs = 9\nqat_epochs = 0\n[optimizer]\nname = "SGD"\nmomentum = 0.5\n[regularization]\ndropout = 0.3\n'
    )
    run, again = tmp_path / "run", tmp_path / "again"
    file = ("--recipe", tmp_path / "recipe.toml")
    flags = ("--epochs", 1, "--dropout", 0.1, "--set", "optimizer.momentum=0.8", "--set", "loss.name=focal")
    program("train", easy_photos, "--out", run, *TINY, *file, *flags)
    recipe = msgspec.convert(json.loads((run / "config.json").read_text())["recipe"], Recipe)
    assert (recipe.epochs, recipe.qat_epochs, recipe.batch_size) == (1, 0, 9)
    assert recipe.optimizer == {"name": "SGD", "momentum": 0.8}
    assert recipe.regularization == Regularization(dropout=0.1)
    assert recipe.loss == Focal()
    program("train", "--recipe", run, "--out", again, "--seed", 1)
    repeated = json.loads((again / "config.json").read_text())["recipe"]
    assert repeated == msgspec.to_builtins(recipe) | {"seed": 1}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("optimizer.name=Adamm", "recipe $.optimizer.name: got 'Adamm', expected one of Adam"),
        ("transfer.name=features", "recipe $.transfer.name: got no weights to transfer, expected whole"),
        ("distillation.teacher=nowhere.keras", "recipe $.distillation.teacher: got nowhere.keras: "),
        ("size=8", "recipe $.size: got 8, expected int >= 32"),
    ],
)
def test_a_recipe_is_tried_before_the_photos_are_read(change: str, says: str, tmp_path: Path, program: Program) -> None:
    photos = tmp_path / "none"
    photos.mkdir()
    error = one_line_error(program("train", photos, "--out", tmp_path / "run", *TINY, "--set", change, status=1))
    assert error.startswith(says)
    assert list(tmp_path.iterdir()) == [photos]
