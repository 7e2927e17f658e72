"""The four verbs of Python users: load data of any kind, train, evaluate, register."""

import numpy as np
import pandas as pd
import pytest

import trainwright
from trainwright.base.errors import DataError, SpecError
from trainwright.store.registry import Registry

MODEL = {"architecture": "mlp", "hidden_dims": [8]}
TRAIN = {"backend": "torch", "epochs": 3, "optimizer": {"name": "adamw", "lr": 1e-2}}
SPLIT = {"method": "stratified", "val": 0.2, "test": 0.2}


@pytest.fixture
def arrays():
    x = np.random.default_rng(0).normal(size=(200, 3))
    return {"x": x, "y": (x[:, 0] > 0).astype(int)}


@pytest.fixture
def make(tmp_path):
    return lambda **more: trainwright.TrainingPipeline(MODEL, TRAIN, home=tmp_path / "store", **more)


def frame_of(arrays):
    columns = {f"c{number}": arrays["x"][:, number] for number in range(3)}
    return pd.DataFrame({**columns, "label": np.where(arrays["y"], "big", "small")})


def test_arrays_frames_columns_and_rows_are_loaded_alike(make, arrays):
    frame = frame_of(arrays)
    losses = []
    for source in (frame, frame.to_dict("list"), frame.to_dict("records")):
        pipeline = make()
        assert pipeline.load_data(source, target="label", split=SPLIT) == {
            "train": 128,
            "val": 32,
            "test": 40,
        }
        pipeline.train()
        losses.append(pipeline.metrics_history["val/loss"])
    assert losses[0] == losses[1] == losses[2] and len(losses[0]) == 3 and losses[0][2] < losses[0][0]
    pipeline = make()
    pipeline.load_data(arrays, split=SPLIT)
    assert pipeline.train().scores["test/accuracy"]["value"] > 0.7


def test_what_was_in_memory_can_be_reproduced_from_the_record(make, arrays):
    pipeline = make()
    pipeline.load_data(arrays, split=SPLIT)
    trained = pipeline.train()
    verdict = trainwright.reproduce_version(trained.run, home=pipeline.home)
    assert verdict.word == "identical"


def test_training_again_is_the_same_training(tmp_path, arrays):
    patient = [{"use": "EarlyStopping", "args": {"metric": "train/loss", "mode": "max", "patience": 2}}]
    config = {**TRAIN, "epochs": 9, "callbacks": patient}
    pipeline = trainwright.TrainingPipeline(MODEL, config, home=tmp_path / "store")
    pipeline.load_data(arrays, split=SPLIT)
    first, again = pipeline.train(), pipeline.train()
    assert (first.run, first.final.epoch) != (again.run, 9)
    assert (again.final.step, again.final.weights) == (first.final.step, first.final.weights)


def test_loaders_of_the_callers_own_give_the_same_records(make, arrays):
    torch = pytest.importorskip("torch")
    x, y = torch.tensor(arrays["x"]), torch.tensor(arrays["y"])
    sets = [
        torch.utils.data.TensorDataset(x[part], y[part])
        for part in (slice(120), slice(120, 160), slice(160, None))
    ]
    train, val, test = (torch.utils.data.DataLoader(one, batch_size=16) for one in sets)
    pipeline = make()
    pipeline.train(train, val)
    assert {name: len(part) for name, part in pipeline.dataset.splits.items()} == {"train": 120, "val": 40}
    np.testing.assert_array_equal(pipeline.dataset.part("val").x, arrays["x"][120:160])
    found = pipeline.evaluate(test)
    right = (pipeline.model(arrays["x"][160:]) == arrays["y"][160:]).mean()
    assert found["test/accuracy"]["value"] == pytest.approx(right)
    looks = Registry(pipeline.store).looks(pipeline.trained.run)
    assert [one.split for one in looks] == ["test"]


def test_weights_of_a_loader_weigh(make, arrays):
    weight = np.where(arrays["y"] == 1, 50.0, 0.01)
    plain, heavy = make(), make()
    plain.train([(arrays["x"], arrays["y"])])
    heavy.train([(arrays["x"], arrays["y"], weight)])
    assert heavy.model(arrays["x"]).mean() > plain.model(arrays["x"]).mean() + 0.1


def test_a_registered_dataset_is_loaded_by_its_name(make, arrays, tmp_path, lab):
    pipeline = make()
    pipeline.load_data(arrays, split=SPLIT)
    pipeline.train()
    model_id = trainwright.register_training_run(
        pipeline, "sides", "analysis-1", hypothesis_id="h", title="A title"
    )
    assert model_id == f"{pipeline.experiment.name}@{pipeline.trained.best.number}"
    assert trainwright.load_model(model_id, home=pipeline.home)(arrays["x"]).shape == (200,)
    other = make(seed=1)
    other.load_data("sides")
    assert other.train().outcome.finished
    np.testing.assert_array_equal(other.dataset.splits["test"], pipeline.dataset.splits["test"])
    other.load_data("sides", target="y")
    for contradiction in ({"target": "z"}, {"split": SPLIT}):
        with pytest.raises(SpecError, match="the registered dataset 'sides' has its own split"):
            other.load_data("sides", **contradiction)


def test_the_best_checkpoint_is_a_file_of_its_weights(make, arrays):
    from safetensors.numpy import load_file

    pipeline = make()
    pipeline.load_data(arrays, split=SPLIT)
    pipeline.train()
    kept = load_file(pipeline.best_checkpoint_path)
    for name, array in Registry(pipeline.store).weights(pipeline.trained.best).items():
        np.testing.assert_array_equal(kept[name], array)


def test_the_name_says_what_was_trained_on_what(make, arrays, tmp_path):
    frame_of(arrays).to_csv(tmp_path / "sides.csv", index=False)
    pipeline = make()
    pipeline.load_data(tmp_path / "sides.csv", target="label", split=SPLIT)
    assert pipeline.experiment.name == "DL-mlp-sides"


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda p, a: p.train(), "no data were loaded; call load_data first"),
        (lambda p, a: p.evaluate(), "nothing was trained yet"),
        (lambda p, a: p.load_data("nothing"), "no store at|no datasets are called 'nothing'"),
        (lambda p, a: p.load_data(a, splt={}), "data.splt: unknown key 'splt', nearest: 'split'"),
        (lambda p, a: p.load_data(3), "int is no table"),
        (lambda p, a: p.train([]), "the loader gives no batches"),
        (lambda p, a: p.train([(a["x"],)]), "batch 0 of the loader is not"),
        (lambda p, a: p.train([(a["x"], a["y"][:5])]), "batch 0 of the loader is not"),
        (lambda p, a: p.train(None, [(a["x"], a["y"])]), "val_loader: give train_loader too"),
    ],
)
def test_what_is_wrong_is_named(make, arrays, act, says):
    with pytest.raises((DataError, SpecError, trainwright.TrainwrightError), match=says):
        act(make(), arrays)


def test_a_wrong_spec_is_named_with_its_field(tmp_path):
    with pytest.raises(SpecError, match=r"model\.dropuot: unknown key 'dropuot', nearest: 'dropout'"):
        trainwright.TrainingPipeline({**MODEL, "dropuot": 0.1})
    with pytest.raises(SpecError, match=r"train\.epochs: 'many' is not a whole number"):
        trainwright.TrainingPipeline(MODEL, {"epochs": "many"})


def test_objects_that_are_all_text_or_all_numbers_are_arrays_like_others(tmp_path):
    def load(**arrays):
        pipeline = trainwright.TrainingPipeline({"architecture": "mlp"}, {"backend": "torch"}, home=tmp_path)
        pipeline.load_data({"x": np.eye(40, dtype=object), "y": np.array(["u", "v"] * 20, object), **arrays})
        return pipeline.dataset.records

    assert load().x.dtype.kind in "if" and load().y.tolist() == ["u", "v"] * 20
    with pytest.raises(DataError, match=r"y: it holds objects \(NoneType, str\), not numbers or text alone"):
        load(y=np.array(["u", None] * 20, object))


def test_a_target_of_another_shape_is_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 3))
    pipeline = trainwright.TrainingPipeline(
        {"architecture": "mlp", "hidden_dims": [4]}, {"backend": "torch", "epochs": 1}, home=tmp_path
    )
    pipeline.load_data({"x": x, "y": x[:, :2]})
    pipeline.train()
    with pytest.raises(DataError, match=r"target has shape \(60, 3\), the predictions .* \(60, 2\)"):
        pipeline.evaluate([(x, x)])
