"""Files that other programs wrote: what stands beside a record does not change what is said of it."""

import csv

import numpy as np

BODY = """\
name: ugly
data:
  path: ugly.csv
  target: {target}
  split: {{val: 0.2, test: 0.2}}
model: {{architecture: mlp, hidden_dims: [8]}}
train: {{backend: torch, epochs: 2}}
"""


def write(path, columns, rows=slice(None)):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(list(one)[rows] for one in columns.values()), strict=True))


def test_a_record_is_predicted_alone_as_it_is_among_others(lab):
    heights = np.random.default_rng(0).normal(size=60)
    table = {
        "height": heights,
        "garage": [("brick", "None", "wood")[one % 3] for one in range(60)],
        "y": [("u", "v")[one % 2] for one in range(60)],
    }
    write(lab.folder / "ugly.csv", table)
    lab.file.write_text(BODY.format(target="y"))
    run = lab.run()["run"]
    together = lab.call("predict", run, lab.folder / "ugly.csv").splitlines()
    # A parser takes a lone `None` for a missing value; it is a garage like any other.
    write(lab.folder / "one.csv", table, slice(1, 2))
    assert lab.call("predict", run, lab.folder / "one.csv").splitlines() == [together[0], together[2]]


def test_classes_of_digits_are_found_in_a_file_that_holds_no_others(lab):
    x = np.random.default_rng(0).normal(size=60)
    table = {"a": x, "b": x**2, "p(x)": [("1", "2", "x")[one % 3] for one in range(60)]}
    write(lab.folder / "ugly.csv", table)
    lab.file.write_text(BODY.format(target="p(x)"))
    run = lab.run()["run"]
    digits = [one for one in range(60) if one % 3 < 2]
    some = {name: [list(column)[one] for one in digits] for name, column in table.items()}
    write(lab.folder / "some.csv", some)
    lab.call("predict", run, lab.folder / "some.csv", "-o", lab.folder / "out.npz", expect=2)
    said = lab.call("predict", run, lab.folder / "some.csv", expect=2)
    assert "two columns of predictions would be called 'p(x)'" in said  # one would hide the other
    assert not (lab.folder / "out.npz").exists()
    scores = lab.json("evaluate", run, lab.folder / "some.csv")
    assert 0 <= scores["some.csv/accuracy"]["value"] <= 1
