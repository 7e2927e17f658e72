"""A target with an answer for each place goes only with augmentations that leave every value where it is."""

import numpy as np
import pytest

from trainwright.base.errors import SpecError
from trainwright.base.random import stream
from trainwright.ops import CATALOG
from trainwright.ops.augmentation import Augmentation
from trainwright.plan import make_plan
from trainwright.spec.build import find
from trainwright.spec.read import read_experiment

# Of images, shape (channels, height, width), and of sequences, (channels, length).
IMAGES = {
    "HorizontalFlip": {"p": 1.0},
    "VerticalFlip": {"p": 1.0},
    "RandomCrop": {"padding": 2},
    "RandomRotation": {"degrees": 90.0},
    "RandomErasing": {"p": 1.0},
    "ColorJitter": {"brightness": 0.2},
}
SEQUENCES = {
    "RandomShift": {"max_shift": 3},
    "RandomResample": {"low": 0.5, "high": 0.6},
    "RandomScale": {"low": 0.5, "high": 0.6},
    "GaussianNoise": {"std": 0.1},
    "TimeMask": {"width": 2, "p": 1.0},
}
KEEPING = {"ColorJitter", "RandomErasing", "RandomScale", "GaussianNoise", "TimeMask"}
SPEC = """\
name: places
data: {path: places.npz, split: {val: 0.25}, augment: [{use: NAME, args: ARGS}]}
model: {architecture: ARCHITECTURE, task_type: TASK, hidden_dims: [4]}
train: {backend: torch, epochs: 1, batch_size: 8}
"""


def augmentations():
    found = {name: find(name, CATALOG, where="test") for name in CATALOG}
    return {name: kind for name, kind in found.items() if issubclass(kind, Augmentation)}


def test_the_tables_hold_every_augmentation():
    assert set(augmentations()) == IMAGES.keys() | SEQUENCES.keys()


@pytest.mark.parametrize("name", [*IMAGES, *SEQUENCES])
def test_what_is_said_to_keep_places_does_and_nothing_else(name):
    """A bright column, and a bright row, over many records: is anything bright seen elsewhere?"""
    shape = (3, 12, 12) if name in IMAGES else (2, 24)
    ramp = np.linspace(-1, 1, np.prod(shape), dtype=np.float32).reshape(shape)
    x = np.repeat(ramp[None], 64, axis=0)
    kind = augmentations()[name]
    made = kind(**{**IMAGES, **SEQUENCES}[name])
    changed = made(x, stream=stream(0, "test"), records=np.arange(64))
    assert not np.array_equal(changed, x)
    column = np.zeros_like(x)
    column[..., 3] = 10.0
    across = np.abs(made(column, stream=stream(0, "test"), records=np.arange(64))).max(axis=(0, 1))
    elsewhere = np.delete(across.reshape(-1, shape[-1]), 3, axis=1)
    row = np.zeros_like(x)
    row[:, :, 3] = 10.0
    down = np.abs(made(row, stream=stream(0, "test"), records=np.arange(64))).max(axis=(0, 1))
    moved = elsewhere.max() > 5.0 or (down.ndim == 2 and np.delete(down, 3, axis=0).max() > 5.0)
    assert kind.keeps_places == (not moved) == (name in KEEPING)


@pytest.mark.parametrize("name", [*IMAGES, *SEQUENCES])
@pytest.mark.parametrize(("architecture", "task"), [("unet", "segmentation"), ("cnn", "classification")])
def test_an_augmentation_that_moves_values_is_refused_where_the_target_has_places(
    tmp_path, name, architecture, task
):
    numbers = np.random.default_rng(0)
    shape = (3, 12, 12) if name in IMAGES else (2, 24)
    x = numbers.normal(size=(16, *shape)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64) if architecture == "unet" else np.arange(16) % 2
    np.savez(tmp_path / "places.npz", x=x, y=y)
    text = SPEC.replace("NAME", name).replace("ARGS", str({**IMAGES, **SEQUENCES}[name]).replace("'", ""))
    file = tmp_path / "places.yaml"
    file.write_text(text.replace("ARCHITECTURE", architecture).replace("TASK", task))
    experiment = read_experiment(file).experiment
    if architecture == "unet" and name not in KEEPING:
        with pytest.raises(SpecError, match=f"data.augment.0.use: '{name}' moves .* GaussianNoise"):
            make_plan(experiment, tmp_path, home=tmp_path / "store")
    else:
        make_plan(experiment, tmp_path, home=tmp_path / "store")
