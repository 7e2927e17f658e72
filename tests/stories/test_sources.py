"""Every kind of source becomes the records a model sees, and a model trained on it predicts for its like."""

import csv

import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from trainwright.base.errors import DataError
from trainwright.experiment import run_experiment
from trainwright.model_op import load_model
from trainwright.plan import make_plan
from trainwright.spec.read import check_tree

AGE = np.random.default_rng(0).permutation(60).astype(float) * 3
Y = np.where(AGE > 90, "old", "young")


@pytest.fixture
def plan(tmp_path):
    def make(path, *, model="mlp", task="auto", **data):
        tree = {
            "name": "a",
            "data": {"path": path, "split": {"method": "random", "val": 0.2}, **data},
            "model": {"architecture": model, "task_type": task, "hidden_dims": [4, 4]},
            "train": {"backend": "torch", "epochs": 1},
        }
        return make_plan(check_tree(tree), tmp_path, home=tmp_path / "store")

    return make


def columns_of(made):
    return {name: column.tolist() for name, column in made.dataset.records.x.columns.items()}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "arrow", "feather"])
def test_a_table_is_the_same_table_in_every_kind_of_file(plan, tmp_path, suffix):
    table = pyarrow.table({"age": AGE, "y": Y})
    path = tmp_path / f"t.{suffix}"
    if suffix in ("csv", "tsv"):
        mark = "," if suffix == "csv" else "\t"
        path.write_text(
            "\n".join([f"age{mark}y", *(f"{a:g}{mark}{b}" for a, b in zip(AGE, Y, strict=True))]) + "\n"
        )
    elif suffix == "parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        pyarrow.feather.write_feather(table, path)
    made = plan(path.name, target="y")
    assert columns_of(made) == {"age": AGE.tolist()} and made.dataset.records.y.tolist() == Y.tolist()
    assert made.dataset.task_type == "classification"


@pytest.mark.parametrize(
    ("name", "records", "shape", "task", "classes"),
    [
        ("iris", 150, (4,), "classification", 3),
        ("wine", 178, (13,), "classification", 3),
        ("breast_cancer", 569, (30,), "classification", 2),
        ("digits", 1797, (1, 8, 8), "classification", 10),
        ("diabetes", 442, (10,), "regression", 1),
        ("linnerud", 20, (3,), "regression", 3),
    ],
)
def test_the_sets_of_scikit_learn_are_there_by_name(plan, name, records, shape, task, classes):
    made = plan(f"sklearn:{name}")
    assert len(made.dataset.records) == records and made.dataset.records.x.shape[1:] == shape
    assert made.dataset.task_type == task and made.experiment.model.output_dim == classes


def test_a_set_that_scikit_learn_has_not_is_refused(plan):
    with pytest.raises(DataError, match=r"data\.path: .*nearest: 'sklearn:iris'"):
        plan("sklearn:irs")


def draw(folder, name, pixels):
    image = pytest.importorskip("PIL.Image")
    folder.mkdir(parents=True, exist_ok=True)
    image.fromarray(pixels).save(folder / name)


@pytest.fixture
def pictures(tmp_path):
    numbers = np.random.default_rng(1)
    for number in range(24):
        kind = ("dark", "light")[number % 2]
        pixels = numbers.integers(0, 90, (10, 12, 3)) + 150 * (number % 2)
        draw(tmp_path / "pictures" / kind, f"{number:02d}.png", pixels.astype(np.uint8))
    return tmp_path / "pictures"


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (3, 10, 12)),
        ({"color": "gray"}, (1, 10, 12)),
        ({"image_size": [5, 6]}, (3, 5, 6)),
        ({"image_size": [20, 8], "color": "gray"}, (1, 20, 8)),
    ],
)
def test_a_folder_of_images_has_a_class_per_folder(plan, pictures, options, shape):
    made = plan("pictures", model="cnn", **options)
    assert made.dataset.records.x.shape == (24, *shape)
    assert sorted(set(made.dataset.records.y.tolist())) == ["dark", "light"]
    light = made.dataset.records.y == "light"
    x = made.dataset.records.x.astype(float)
    assert x[light].mean() > x[~light].mean() + 100
    assert made.dataset.records.ids[0] == "dark/00.png"


def test_a_model_of_images_predicts_for_a_folder(plan, pictures, tmp_path, lab):
    made = plan("pictures", model="cnn", image_size=[6, 6])
    trained = run_experiment(made.experiment, folder=tmp_path, home=lab.home, plan=made)
    out = lab.call("predict", f"{trained.run}@latest", pictures)
    rows = list(csv.DictReader(out.splitlines()))
    direct = load_model(f"{trained.run}@latest", home=lab.home)(made.dataset.records.x)
    assert [row["y"] for row in rows] == direct.tolist()
    assert [
        next(iter(row.values())) for row in rows
    ] == made.dataset.records.ids.tolist()  # which picture it is


def test_images_with_masks_are_a_segmentation(plan, tmp_path):
    numbers = np.random.default_rng(2)
    for number in range(10):
        pixels = numbers.integers(0, 255, (8, 8, 3)).astype(np.uint8)
        draw(tmp_path / "masked" / "images", f"{number}.png", pixels)
        draw(tmp_path / "masked" / "masks", f"{number}.png", (pixels[:, :, 0] > 127).astype(np.uint8))
    made = plan("masked", model="unet")
    assert made.dataset.task_type == "segmentation" and made.examples["train"].y.shape == (8, 8, 8)
    np.testing.assert_array_equal(made.dataset.records.y, made.dataset.records.x[:, 0] > 127)
