"""Files that other programs wrote: what stands beside a record does not change what is said of it."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from trainwright.base.errors import DataError
from trainwright.cli.use import predict
from trainwright.evaluation.version import evaluate_model
from trainwright.experiment import run_experiment
from trainwright.spec.read import read_experiment

BODY = """\
name: ugly
data:
  path: ugly.csv
  target: {target}
  split: {{val: 0.2, test: 0.2}}
model: {{architecture: mlp, hidden_dims: [8]}}
train: {{backend: torch, epochs: 2}}
"""


class Bench:
    """A folder, and the commands on its files in this process, which is quicker than one for each."""

    def __init__(self, folder, capsys):
        self.folder, self.home, self.capsys = folder, folder / "store", capsys

    def run(self, text):
        (self.folder / "ugly.yaml").write_text(text)
        document = read_experiment(self.folder / "ugly.yaml")
        return run_experiment(document.experiment, folder=document.folder, home=self.home).run

    def predict(self, run, name, output=None):
        self.capsys.readouterr()
        out = output and self.folder / output
        predict(run, self.folder / name, output=out, store=self.home)
        return self.capsys.readouterr()

    def evaluate(self, run, name):
        return evaluate_model(run, data=self.folder / name, home=self.home)


@pytest.fixture
def bench(tmp_path, capsys):
    return Bench(tmp_path, capsys)


def write(path, columns, rows=slice(None)):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(list(one)[rows] for one in columns.values()), strict=True))


def test_a_record_is_predicted_alone_as_it_is_among_others(bench):
    heights = np.random.default_rng(0).normal(size=60)
    table = {
        "height": heights,
        "garage": [("brick", "None", "wood")[one % 3] for one in range(60)],
        "y": [("u", "v")[one % 2] for one in range(60)],
    }
    write(bench.folder / "ugly.csv", table)
    run = bench.run(BODY.format(target="y"))
    together = bench.predict(run, "ugly.csv").out.splitlines()
    # A parser takes a lone `None` for a missing value; it is a garage like any other.
    write(bench.folder / "one.csv", table, slice(1, 2))
    alone = bench.predict(run, "one.csv")
    assert alone.out.splitlines() == [together[0], together[2]]
    assert "not there in training" not in alone.err
    table["garage"] = ["straw"] * 3 + [""] + table["garage"][4:]
    write(bench.folder / "some.csv", table, slice(0, 3))
    said = bench.predict(run, "some.csv").err
    assert "column 'garage': 3 records have a category that was not there in training" in said


def test_classes_of_digits_are_found_in_a_file_that_holds_no_others(bench):
    x = np.random.default_rng(0).normal(size=60)
    table = {"a": x, "b": x**2, "kind": [("1", "2", "x")[one % 3] for one in range(60)]}
    write(bench.folder / "ugly.csv", table)
    run = bench.run(BODY.format(target="kind"))
    digits = [one for one in range(60) if one % 3 < 2]
    write(
        bench.folder / "some.csv",
        {name: [list(column)[one] for one in digits] for name, column in table.items()},
    )
    assert 0 <= bench.evaluate(run, "some.csv")["some.csv/accuracy"]["value"] <= 1


@pytest.mark.parametrize(
    ("head", "names", "twice"),
    [
        ("mean_variance", ["y", "y.std"], "y.std"),
        ("laplace", ["y", "y.scale"], "y.scale"),
        ("student_t", ["y", "y.df"], "y.df"),
        ("mixture", ["y", "y.means"], "y.means"),
        ("mixture", ["mixing"], "mixing"),
        ("quantiles", ["y", "y.q0.5"], "y.q0.5"),
        ("point", ["p(u)"], "p(u)"),
    ],
)
def test_a_column_of_predictions_that_would_hide_another_is_refused_before_anything_is_written(
    bench, head, names, twice
):
    x = np.random.default_rng(0).normal(size=60)
    values = [("u", "v")[one % 2] for one in range(60)] if head == "point" else x
    write(bench.folder / "ugly.csv", {"a": x, **dict.fromkeys(names, values)})
    target = names if len(names) > 1 else names[0]
    model = "mlp" if head == "point" else f"mlp, head: {head}"
    with pytest.raises(
        DataError, match=f"two columns of predictions would be called {re.escape(repr(twice))}"
    ):
        bench.run(BODY.format(target=target).replace("mlp", model))
    assert not bench.home.exists()
    if head != "point":  # a point has no spread, whose name could be taken
        bench.run(BODY.format(target=target))


def test_masks_are_no_images_to_predict_for_and_each_prediction_names_its_file(bench):
    pixels = np.random.default_rng(0).integers(0, 255, size=(10, 16, 16)).astype(np.uint8)
    for part, values in (("images", pixels), ("masks", (pixels > 128).astype(np.uint8))):
        (bench.folder / "cells" / part).mkdir(parents=True)
        for number, image in enumerate(values):
            Image.fromarray(image).save(bench.folder / "cells" / part / f"{number}.png")
    text = BODY.format(target="auto").replace("ugly.csv", "cells")
    run = bench.run(text.replace("mlp, hidden_dims: [8]", "unet, hidden_dims: [4, 8]"))
    bench.predict(run, "cells", "out.npz")
    with np.load(bench.folder / "out.npz") as found:
        assert found["file"].tolist() == [f"{number}.png" for number in range(10)]
        correct = (found["y"] == (pixels > 128)).mean()
    assert bench.evaluate(run, "cells")["cells/pixel_accuracy"]["value"] == pytest.approx(correct, abs=1e-6)


def test_a_sequence_that_loses_its_end_is_announced(bench):
    numbers = np.random.default_rng(0)
    lengths = numbers.integers(1, 6, 60)
    lengths[:2] = 6
    arrays = {"x": numbers.normal(size=(lengths.sum(), 2)), "x_lengths": lengths, "y": np.arange(60) % 2}
    np.savez(bench.folder / "ugly.npz", **arrays)
    text = BODY.format(target="y").replace("ugly.csv", "ugly.npz")
    run = bench.run(text.replace("mlp, ", "cnn, kernel_size: 3, "))
    np.savez(bench.folder / "long.npz", x=np.zeros((20, 2)), x_lengths=np.array([4, 9, 7]))
    said = "2 sequences are longer than 6, as in training, and lost their end"
    assert said in bench.predict(run, "long.npz").err
    assert "lost their end" not in bench.predict(run, "ugly.npz").err


def test_a_column_that_train_alone_has_not_is_refused_by_the_split(bench):
    blank = ["" if one < 40 else "x" for one in range(60)]
    table = {"a": np.arange(60.0) % 7, "k": blank, "b": ["u", "v"] * 30, "y": [0, 1, 1] * 20}
    write(bench.folder / "ugly.csv", table)
    split = f"{{method: given, train: {list(range(40))}, val: {list(range(40, 60))}}}"
    text = BODY.format(target="y").replace("{val: 0.2, test: 0.2}", f"{split}\n  missing: impute")
    with pytest.raises(DataError, match=r"in the train split, column 'k': .* no value in any record"):
        bench.run(text)
