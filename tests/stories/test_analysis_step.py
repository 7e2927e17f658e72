"""An analysis of three steps: it prepares a table, builds a model, and uses it; the record knows who made what."""

import numpy as np
import pytest

import trainwright
from trainwright.base.errors import DataError, SpecError
from trainwright.registering import links_of
from trainwright.step import Outputs, _rank
from trainwright.store.registry import Registry
from trainwright.store.store import Store

CONFIG = {
    "families": {"mlp": {"model": {"hidden_dims": [16]}}, "transformer": {"model": {"hidden_dims": [16]}}},
    "hyperparameters": {
        "train": {"backend": "torch", "epochs": 3, "optimizer": {"name": "adamw", "lr": 1e-2}},
        "data": {"split": {"method": "stratified", "val": 0.2, "test": 0.2}},
    },
    "evaluation_metrics": ["accuracy", "roc_auc"],
    "seed": 4,
}


@pytest.fixture
def table():
    numbers = np.random.default_rng(0)
    size = numbers.normal(3, 1, 200)
    kind = numbers.choice(["a", "b"], 200)
    return {"size": size, "kind": kind, "grown": np.where(size + (kind == "a") > 3.5, "yes", "no")}


def prepare(table, folder):
    rows = ["size,kind,grown", *(f"{a},{b},{c}" for a, b, c in zip(*table.values(), strict=True))]
    path = folder / "grown.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def inputs(table, tmp_path):
    path = prepare(table, tmp_path)
    return {
        "dataset": path,
        "target": "grown",
        "analysis_id": "analysis-7",
        "hypothesis_id": "bigger-is-grown",
        "home": tmp_path / "store",
    }


def test_the_step_gives_a_registered_model_under_documented_keys(inputs, table):
    outputs = trainwright.run_model_building_step(CONFIG, inputs)

    assert set(outputs) == set(Outputs.__annotations__)
    assert outputs["status"] == "trained" and set(outputs["metrics"]) == {"test/accuracy", "test/roc_auc"}
    assert [one["family"] for one in outputs["candidates"]] == ["mlp", "transformer"]
    best = min(outputs["candidates"], key=lambda one: one["value"])
    assert outputs["family"] == best["family"] and best["metric"] == "val/loss"

    registry = Registry(Store.open(inputs["home"]))
    version = registry.resolve(outputs["model_id"])
    assert version.number == outputs["version"] and version.run == outputs["run_id"]
    run = registry.run(version.run)
    links = links_of(registry, run)
    assert links["produced_by"] == "analysis-7" and links["tests_hypothesis"] == "bigger-is-grown"
    assert links["trained_on"] == run.dataset[:12]
    with open(outputs["report_path"]) as file:
        assert "<html" in file.read()
    from trainwright.base.tensors import load_tensors

    with open(outputs["checkpoint_path"], "rb") as file:
        assert "output.weight" in load_tensors(file.read(), what="weights")

    model = trainwright.load_model(outputs["model_id"], home=inputs["home"])  # the third step uses it
    predicted = model({name: table[name] for name in ("size", "kind")})
    assert (predicted == table["grown"]).mean() > 0.8


def test_the_registration_says_what_a_reader_wants_to_know(inputs):
    outputs = trainwright.run_model_building_step(CONFIG, inputs)
    registry = Registry(Store.open(inputs["home"]))
    (row,) = [one for one in registry.artifacts(outputs["run_id"]) if one.name == "registration"]
    kept = registry.artifact_value(row)
    assert kept["model_family"] == "deep_learning" and kept["architecture"] == outputs["family"]
    assert kept["title"].startswith(f"DL-{outputs['family']}-")
    assert kept["evaluation_metrics"] == outputs["metrics"] and kept["framework"] == "torch"
    assert kept["checkpoint_path"] == outputs["checkpoint_path"] and kept["training_config"]["epochs"] == 3
    model = trainwright.load_model(outputs["model_id"], home=inputs["home"])
    weights = registry.weights(model.version)
    trained = [one for name, one in weights.items() if "running" not in name]
    assert kept["parameter_count"] == sum(one.size for one in trained)


def test_the_same_inputs_a_second_time_offer_the_recorded_model(inputs):
    first = trainwright.run_model_building_step(CONFIG, inputs)
    second = trainwright.run_model_building_step(CONFIG, inputs)
    assert second["status"] == "recorded" and {one["status"] for one in second["candidates"]} == {"recorded"}
    for key in ("model_id", "version", "run_id", "metrics"):
        assert second[key] == first[key]
    again = trainwright.run_model_building_step({**CONFIG, "again": True}, inputs)
    assert again["status"] == "trained" and again["run_id"] != first["run_id"]
    other = trainwright.run_model_building_step({**CONFIG, "seed": 5}, inputs)
    assert other["status"] == "trained"


def test_a_changed_table_is_trained_on_anew(inputs, table, tmp_path):
    trainwright.run_model_building_step(CONFIG, inputs)
    table["size"][0] += 0.001
    prepare(table, tmp_path)
    assert trainwright.run_model_building_step(CONFIG, inputs)["status"] == "trained"


def test_lineage_shows_dataset_and_analysis(inputs, lab):
    outputs = trainwright.run_model_building_step(CONFIG, inputs)
    shown = lab.call("lineage", outputs["model_id"], "--store", inputs["home"])
    assert "analysis-7" in shown and "bigger-is-grown" in shown and "dataset" in shown


def test_wall_clock_time_is_capped(inputs):
    long = {"train": {**CONFIG["hyperparameters"]["train"], "epochs": 100_000}}
    hyper = {**CONFIG["hyperparameters"], **long}
    outputs = trainwright.run_model_building_step(
        {**CONFIG, "families": ["mlp"], "hyperparameters": hyper, "max_seconds": 2}, inputs
    )
    assert outputs["status"] == "trained" and outputs["seconds"] < 60
    registry = Registry(Store.open(inputs["home"]))
    assert registry.run(outputs["run_id"]).state == "stopped"


@pytest.mark.parametrize(
    ("config", "more", "says"),
    [
        ({"familys": ["mlp"]}, {}, "config: unknown key 'familys'"),
        ({"families": []}, {}, "config.families: it names none"),
        ({"families": ["mpl"]}, {}, "model.architecture: 'mpl'"),
        (
            {"hyperparameters": {"train": {"epoch": 3}}},
            {},
            "train.epoch: unknown key 'epoch', nearest: 'epochs'",
        ),
        ({"hyperparameters": {"modle": {}}}, {}, "config.hyperparameters: unknown key 'modle'"),
        ({}, {"data": "x"}, "inputs: unknown key 'data'"),
        ({}, {"target": "grow"}, "no column 'grow'"),
        ({"evaluation_metrics": ["acuracy"]}, {}, "config.evaluation_metrics: nobody measures 'acuracy'"),
    ],
)
def test_what_is_wrong_is_named(inputs, config, more, says):
    wrong = {**CONFIG, "families": ["mlp"], **config}
    with pytest.raises((SpecError, DataError), match=says):
        trainwright.run_model_building_step(wrong, {**inputs, **more})


@pytest.mark.parametrize(
    ("train", "text"),
    [
        (
            {"best": {"metric": "val/accuracy", "mode": "max"}},
            "train.best.metric is val/loss, that of mlp val/acc",
        ),
        ({"loss": {"name": "cross_entropy", "label_smoothing": 0.3}}, "train.loss is .* that of mlp .*0.3"),
    ],
)
def test_families_that_are_measured_differently_are_not_compared(inputs, train, text):
    families = {**CONFIG["families"], "mlp": {"model": {"hidden_dims": [4]}, "train": train}}
    with pytest.raises(SpecError, match=text):
        trainwright.run_model_building_step({**CONFIG, "families": families}, inputs)


@pytest.mark.parametrize(
    ("value", "sign", "expected"),
    [
        (0.5, 1.0, 0.5),
        (0.5, -1.0, -0.5),
        (float("nan"), 1.0, float("inf")),
        (float("nan"), -1.0, float("inf")),
    ],
)
def test_a_family_without_a_value_is_never_the_best(value, sign, expected):
    assert _rank(value, sign) == expected


@pytest.mark.parametrize(
    ("config", "more", "text"),
    [
        ({"families": "mlp"}, {}, "config.families: 'mlp' is no list"),
        ({"families": None}, {}, "config.families: None is no list"),
        ({}, {"analysis_id": None}, "inputs.analysis_id: 'None': it is no text"),
        ({}, {"analysis_id": "a@b"}, "`@` is not allowed"),
    ],
)
def test_what_cannot_be_registered_is_refused_before_training(inputs, config, more, text):
    with pytest.raises(SpecError, match=text):
        trainwright.run_model_building_step({**CONFIG, **config}, {**inputs, **more})
    assert not inputs["home"].exists()
