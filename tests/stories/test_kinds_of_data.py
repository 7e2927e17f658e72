"""Tables, arrays, weights, text classes and units, from file to prediction, judged by another library."""

import csv

import numpy as np
import pytest
from sklearn import metrics

from trainwright.store import datasets
from trainwright.store.registry import Registry
from trainwright.store.store import Store


def write_table(path, columns):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def read_out(path):
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def make_columns():
    numbers = np.random.default_rng(2)
    a, b = numbers.normal(10, 3, 300), numbers.uniform(0, 1, 300)
    weight = numbers.uniform(0.1, 3.0, 300)
    value = 5000 + 400 * a + 900 * b
    return {"a": a, "b": b, "w": weight, "value": value}


SPEC = """\
name: crops
data:
  path: {path}
  target: {target}
  weight: w
  split: {{val: 0.2, test: 0.2}}
  operators: [{{use: Standardize}}]
{more}
model: {{architecture: mlp, hidden_dims: [16]}}
train:
  backend: {backend}
  epochs: 60
  optimizer: {{name: adam, lr: 1e-2}}
"""


@pytest.mark.parametrize(
    ("suffix", "backend"),
    [
        ("csv", "torch"),
        ("parquet", "equinox"),
        pytest.param("parquet", "torch", marks=pytest.mark.slow),
        pytest.param("csv", "equinox", marks=pytest.mark.slow),
    ],
)
def test_a_regression_is_measured_in_the_unit_of_its_target_and_weighted(lab, suffix, backend):
    columns = make_columns()
    path = lab.folder / f"table.{suffix}"
    if suffix == "csv":
        write_table(path, columns)
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    operators = "  target_operators: [{use: Standardize}]"
    lab.file.write_text(SPEC.format(path=path.name, target="value", more=operators, backend=backend))
    trained = lab.run()
    registry = Registry(Store.open(lab.home))
    row = registry.run(trained["run"])
    (dataset,) = datasets.rows(registry.store)
    splits = datasets.splits(registry.store, dataset)
    lab.call("predict", trained["run"] + "@best", path, "-o", lab.folder / "out.csv")
    predicted = read_out(lab.folder / "out.csv")["value"].astype(float)
    assert row.dataset == dataset.digest

    test, val = splits["test"], splits["val"]
    true, weight = columns["value"], columns["w"]
    rmse = metrics.root_mean_squared_error(true[test], predicted[test], sample_weight=weight[test])
    r2 = metrics.r2_score(true[test], predicted[test], sample_weight=weight[test])
    scores = trained["scores"]
    assert scores["test/rmse"]["value"] == pytest.approx(rmse, rel=1e-4)
    assert scores["test/r2"]["value"] == pytest.approx(r2, rel=1e-5)
    assert scores["test/rmse"]["low"] < rmse < scores["test/rmse"]["high"]
    assert rmse < 0.2 * true[test].std()

    best = lab.json("show", trained["run"] + "@best")["metrics"]
    mae = metrics.mean_absolute_error(true[val], predicted[val], sample_weight=weight[val])
    assert best["val/mae"] == pytest.approx(mae, rel=1e-4)
    # The loss is the mean squared error of the standardized target: by the train split's own deviation.
    deviation = true[splits["train"]].std()
    square = metrics.mean_squared_error(true[val], predicted[val], sample_weight=weight[val])
    assert best["val/loss"] == pytest.approx(square / deviation**2, rel=1e-4)


def test_operators_are_fitted_on_train_only(lab):
    columns = make_columns()
    path = lab.folder / "table.csv"
    write_table(path, columns)
    split = "{method: given, train: train.npy, val: val.npy, test: test.npy}"
    order = np.argsort(columns["a"])  # train holds the small values of `a`: its mean is not that of all
    for name, part in zip(("train", "val", "test"), np.split(order, [200, 250]), strict=True):
        np.save(lab.folder / f"{name}.npy", part)
    text = SPEC.format(path=path.name, target="value", more="", backend="torch")
    lab.file.write_text(text.replace("{val: 0.2, test: 0.2}", split))
    trained = lab.run("--set", "train.epochs=1")
    registry = Registry(Store.open(lab.home))
    operator = registry.operator(registry.resolve(trained["run"]))
    standardize = operator["preparation"]["inputs"]["args"]["steps"][0]["args"]
    train = np.stack([columns["a"], columns["b"]], axis=1)[order[:200]]
    np.testing.assert_allclose(standardize["mean"], train.mean(0), rtol=1e-12)
    np.testing.assert_allclose(standardize["std"], train.std(0), rtol=1e-12)


def test_text_classes_come_back_as_text(lab):
    columns = make_columns()
    columns["value"] = np.where(columns["a"] > 10, "large", "small")
    path = lab.folder / "table.csv"
    write_table(path, columns)
    lab.file.write_text(SPEC.format(path=path.name, target="value", more="", backend="torch"))
    trained = lab.run()
    lab.call("predict", trained["run"] + "@best", path, "-o", lab.folder / "out.csv")
    predicted = read_out(lab.folder / "out.csv")
    assert set(predicted) == {"value", "p(large)", "p(small)"}
    assert np.mean(predicted["value"] == columns["value"]) > 0.95
    scores = lab.json("evaluate", trained["run"] + "@best", path)
    accuracy = np.average(predicted["value"] == columns["value"], weights=columns["w"])
    assert scores["table.csv/accuracy"]["value"] == pytest.approx(accuracy, rel=1e-6)


def test_a_registered_dataset_gives_the_same_run_as_its_file(lab):
    from_file = lab.run()
    lab.call("data", "register", "mine", lab.file)
    body = lab.file.read_text()
    begin, end = body.index("data:"), body.index("model:")
    lab.file.write_text(
        f"{body[:begin]}data:\n  dataset: mine\n  operators: [{{use: Standardize}}]\n{body[end:]}"
    )
    assert lab.run()["weights"] == from_file["weights"]
    assert lab.json("data", "ls")[0]["name"] == "mine"
