"""Files that other programs wrote: what stands beside a record does not change what is said of it."""

import csv

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
    assert bench.predict(run, "one.csv").out.splitlines() == [together[0], together[2]]


def test_classes_of_digits_are_found_in_a_file_that_holds_no_others(bench):
    x = np.random.default_rng(0).normal(size=60)
    table = {"a": x, "b": x**2, "p(x)": [("1", "2", "x")[one % 3] for one in range(60)]}
    write(bench.folder / "ugly.csv", table)
    run = bench.run(BODY.format(target="p(x)"))
    digits = [one for one in range(60) if one % 3 < 2]
    write(
        bench.folder / "some.csv",
        {name: [list(column)[one] for one in digits] for name, column in table.items()},
    )
    assert 0 <= bench.evaluate(run, "some.csv")["some.csv/accuracy"]["value"] <= 1
    with pytest.raises(DataError, match=r"two columns of predictions would be called 'p\(x\)'"):
        bench.predict(run, "some.csv", "out.npz")  # one would hide the other
    assert not (bench.folder / "out.npz").exists()


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
