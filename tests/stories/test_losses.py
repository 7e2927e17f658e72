"""Losses and heads of a regression from an experiment file to predictions and a report."""

import hashlib
import re
import sys

import numpy as np
import pytest

import trainwright as tw
from trainwright.base.errors import DataError, SpecError
from trainwright.data.dataset import Records
from trainwright.evaluation.version import judge
from trainwright.spec.read import check_tree
from trainwright.store.registry import Registry
from trainwright.store.store import Store

pytest.importorskip("torch")

numbers = np.random.default_rng(0)
X = numbers.uniform(0, 4, (300, 1))
Y = 100 + 20 * X[:, 0] + (1 + 2 * X[:, 0]) * numbers.standard_t(4.0, 300)
TREE = {
    "name": "a",
    "data": {
        "path": "a.npz",
        "split": {"val": 0.2, "test": 0.3},
        "target_operators": [{"use": "Standardize"}],
    },
    "model": {"architecture": "mlp", "hidden_dims": [16], "task_type": "regression"},
    "train": {"backend": "torch", "epochs": 30, "optimizer": {"name": "adam", "lr": 0.02}},
}


def run(folder, *, model=(), train=(), data=()):
    np.savez(folder / "a.npz", x=X, y=Y)
    parts = {"model": dict(model), "train": dict(train), "data": dict(data)}
    tree = {**TREE, **{name: TREE[name] | part for name, part in parts.items()}}
    return tw.run_experiment(check_tree(tree), folder=folder, home=folder / "store")


@pytest.mark.parametrize(
    ("head", "loss", "columns"),
    [
        ("laplace", "laplace_nll", ["y", "y.std", "y.scale"]),
        ("student_t", "student_t_nll", ["y", "y.std", "y.scale", "y.df"]),
    ],
)
def test_a_distribution_comes_back_in_the_unit_of_the_data(tmp_path, head, loss, columns):
    trained = run(tmp_path, model={"head": head})
    registry = Registry(Store.open(tmp_path / "store"))
    assert registry.spec(registry.run(trained.run))["train"]["loss"] == loss
    model = tw.load_model("a", home=tmp_path / "store")
    x = np.array([[0.5], [3.5]])
    found = model.columns(x)
    assert list(found) == columns
    # The target is 20 a unit steeper than it was to the network, and noisier to the right.
    assert found["y"] == pytest.approx([110, 170], abs=8)
    assert 0.5 < found["y.scale"][0] < found["y.scale"][1] < 15
    scale, outputs = np.ptp(Y), model.outputs(x)
    assert (found["y.scale"] / outputs["scale"][:, 0]).std() < 1e-5 * scale
    if head == "laplace":
        np.testing.assert_allclose(found["y.std"], np.sqrt(2) * found["y.scale"], rtol=1e-6)
    else:
        np.testing.assert_allclose(found["y.df"], outputs["df"][:, 0])
        factor = np.sqrt(found["y.df"] / (found["y.df"] - 2))
        np.testing.assert_allclose(found["y.std"], factor * found["y.scale"], rtol=1e-6)
    scores = {name: score["value"] for name, score in trained.scores.items()}
    assert 0.75 < scores["test/coverage_90"] <= 1.0 and scores["test/coverage_50"] < 0.75
    assert 0 < scores["test/crps"] < scores["test/mae"]
    # What the version says of the test records is what the record of the run holds.
    again = judge(model, Records(X, Y, None, np.arange(300))).scores
    assert again["nll"]["value"] == pytest.approx(scores["test/nll"], abs=0.5)
    page = trained.report.read_text()
    assert "Uncertainty" in page
    assert ("95 % of a Laplace distribution" if head == "laplace" else "95 % of Student") in page


@pytest.mark.parametrize(
    ("head", "operator", "text"),
    [
        ("mean_variance", {"use": "Log1p"}, "goes with operators that only shift and scale"),
        ("laplace", {"use": "Log1p"}, "goes with operators that only shift and scale"),
        ("student_t", {"use": "Quantile"}, "goes with operators that only shift and scale"),
    ],
)
def test_a_distribution_that_could_not_come_back_is_refused(tmp_path, head, operator, text):
    with pytest.raises(SpecError, match=rf"data\.target_operators: model\.head '{head}' {text}"):
        run(tmp_path, model={"head": head}, data={"target_operators": [operator]})
    assert not (tmp_path / "store").exists()


def test_quantiles_come_back_from_any_rising_operator(tmp_path):
    run(
        tmp_path,
        model={"head": "quantiles"},
        data={"target_operators": [{"use": "Log1p"}]},
        train={"epochs": 1},
    )


@pytest.mark.parametrize("operator", [{"use": "Standardize"}, {"use": "MinMax"}])
def test_a_mixture_comes_back_in_the_unit_of_the_data(tmp_path, operator):
    """Two branches, 30 apart at the left and 90 at the right."""
    sign = np.where(numbers.random(300) < 0.7, 1, -1)
    y = 100 + sign * (15 + 10 * X[:, 0]) + numbers.normal(0, 2, 300)
    np.savez(tmp_path / "a.npz", x=X, y=y)
    tree = TREE | {"data": TREE["data"] | {"target_operators": [operator]}}
    tree |= {"model": TREE["model"] | {"head": "mixture", "components": 2}}
    trained = tw.run_experiment(check_tree(tree), folder=tmp_path, home=tmp_path / "store")
    model = tw.load_model("a", home=tmp_path / "store")
    x = np.array([[0.5], [3.5]])
    found = model.columns(x)
    assert list(found) == ["mixing", "y", "y.std", "y.means", "y.stds"]
    order = np.argsort(found["y.means"], axis=1)
    means, stds, mixing = (np.take_along_axis(found[k], order, 1) for k in ("y.means", "y.stds", "mixing"))
    np.testing.assert_allclose(means, [[80, 120], [50, 150]], atol=5)
    np.testing.assert_allclose(mixing, [[0.3, 0.7]] * 2, atol=0.15)
    assert (stds > 1).all() and (stds < 8).all()
    np.testing.assert_allclose(found["y"], (mixing * means).sum(1), rtol=1e-4)
    said = model.distribution(x)
    np.testing.assert_allclose(said.quantile(0.1)[:, 0], means[:, 0], atol=6)
    np.testing.assert_allclose(said.draw(4000, seed=0).mean(0), said.centre, atol=3)
    scores = {name: score["value"] for name, score in trained.scores.items()}
    spread = np.log(np.std(y) * np.sqrt(2 * np.pi * np.e))  # of one normal distribution that ignores x
    assert scores["test/nll"] < spread - 0.5 and 0 < scores["test/crps"] < scores["test/mae"]
    again = judge(model, Records(X, y, None, np.arange(300))).scores
    assert again["nll"]["value"] == pytest.approx(scores["test/nll"], abs=0.5)
    assert "95 % of a mixture of normal distributions" in trained.report.read_text()


def test_a_point_has_no_distribution(tmp_path):
    run(tmp_path, train={"epochs": 1})
    with pytest.raises(DataError, match=r"predicts no distribution; train one with model\.head"):
        tw.load_model("a", home=tmp_path / "store").distribution(X[:2])


def test_a_student_learns_what_its_teacher_holds_for_probable(tmp_path):
    """The columns that a model predicts are the target of another one, which has no class to learn from."""
    a, b = numbers.normal(size=(2, 900))
    chances = np.exp([2 * a, 2 * b, np.zeros(900)])
    kind = (numbers.random(900) > (chances / chances.sum(0)).cumsum(0)).sum(0)
    table = {"a": a, "b": b, "kind": np.array(["ant", "bee", "cat"])[kind]}

    def train(name, data, *, loss, target):
        pipeline = tw.TrainingPipeline(
            {"architecture": "mlp", "hidden_dims": [8], "task_type": "classification"},
            TREE["train"] | {"loss": loss},
            name=name,
            home=tmp_path / "store",
        )
        pipeline.load_data(data, target=target)
        scores = {key: one["value"] for key, one in pipeline.train().scores.items()}
        return pipeline.model, scores

    teacher, known = train("teacher", table, loss="cross_entropy", target="kind")
    features = {"a": a, "b": b}
    told = {name: one for name, one in teacher.columns(features).items() if name != "kind"}
    found = {}
    for loss in ("cross_entropy", {"name": "kl", "temperature": 3.0}):
        student, scores = train("student", features | told, loss=loss, target=list(told))
        assert student.classes == teacher.classes == ["ant", "bee", "cat"]
        columns = student.columns(features)
        assert list(columns) == ["class", "p(ant)", "p(bee)", "p(cat)"]
        assert scores["test/kl"] < 0.02 and scores["test/agreement"] > 0.93
        assert max(np.abs(columns[name] - one).max() for name, one in told.items()) < 0.25
        # Against the classes, which it never saw, it is as good as its teacher.
        assert np.mean(columns["class"] == table["kind"]) > known["test/accuracy"] - 0.05
        found[str(loss)] = scores
    one, other = found.values()
    assert one["test/loss"] != other["test/loss"] and one["test/loss"] > one["test/kl"]


OWN = {"name": "own", "use": "costs:Late", "args": {"times": 9.0}}
CODE = """
class Late:
    def __init__(self, *, times=1.0):
        self.times = times

    def torch(self, outputs, targets):
        late = outputs - targets
        return (self.times * late).maximum(-late).mean(dim=1)
"""
NUMPY = """
    def numpy(self, outputs, targets):
        import numpy as np

        late = outputs - targets
        return np.maximum(self.times * late, -late).mean(axis=1)
"""


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    """Lets each test write a module `costs` of its own."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "costs", raising=False)
    yield tmp_path / "costs.py"
    sys.modules.pop("costs", None)


def test_an_own_loss_trains_is_measured_and_is_recorded(tmp_path, own_code):
    own_code.write_text(CODE + NUMPY)
    trained = run(tmp_path, train={"loss": OWN})
    registry = Registry(Store.open(tmp_path / "store"))
    row = registry.run(trained.run)
    code = registry.environment(row)["code"]
    assert code == {"costs:Late": hashlib.sha256(own_code.read_bytes()).hexdigest()}
    # Nine times as dear, what is too much is a tenth: the tenth quantile.
    model = tw.load_model("a", home=tmp_path / "store")
    assert 0.03 < np.mean(model(X)[:, 0] > Y) < 0.25
    losses = [one.value for one in registry.metrics(trained.run) if one.name == "val/loss"]
    assert min(losses) == pytest.approx(trained.best.metrics["val/loss"]) and losses[-1] < losses[0]


def test_what_an_own_loss_lacks_is_said_before_anything_is_written(tmp_path, own_code):
    own_code.write_text(CODE)
    lacks = (
        "train.loss.use: costs:Late has no method `numpy`; "
        "it needs torch(outputs, targets), numpy(outputs, targets)"
    )
    with pytest.raises(SpecError, match=re.escape(lacks)):
        run(tmp_path, train={"loss": OWN})
    assert not (tmp_path / "store").exists()


def test_a_sum_is_measured_as_it_is_trained(tmp_path):
    loss = {"name": "composite", "losses": [{"loss": "mse", "weight": 0.5}, {"loss": "mae", "weight": 3.0}]}
    trained = run(tmp_path, train={"loss": loss, "epochs": 2})
    registry = Registry(Store.open(tmp_path / "store"))
    found = {one.name: one.value for one in registry.metrics(trained.run) if one.step == trained.final.step}
    scale = Y.std()  # nearly that of the train split, by which the target is divided
    wanted = 0.5 * (found["val/rmse"] / scale) ** 2 + 3.0 * found["val/mae"] / scale
    assert found["val/loss"] == pytest.approx(wanted, rel=0.1)
