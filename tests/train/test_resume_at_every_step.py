"""Whatever is asked for, a run that goes on from any of its steps ends as the one that was never cut."""

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stories.options import CNN, MIXED, SCHEDULES, TASKS, TORCH_ONLY, TRAINING, write_data
from train.resuming import Experimenting

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    write_data(place)
    return place


def use(name, **args):
    return {"use": name, "args": args}


CALLBACKS = {
    "early stopping": {
        "train.callbacks": [use("EarlyStopping", metric="train/loss", mode="max", patience=2, min_epochs=2)],
        "train.epochs": 5,
    },
    "time limit": {"train.callbacks": [use("TimeLimit", seconds=7)]},
    "threshold": {
        "train.callbacks": [use("StopOnThreshold", metric="train/loss", below=1.1)],
        "train.epochs": 6,
    },
    "lines and not a number": {
        "train.callbacks": [
            use("JSONLines", path="m.jsonl"),
            use("StopOnNaN"),
            use("Progress", mode="lines"),
        ],
    },
}
QUICK = {**SCHEDULES, **TRAINING, **TORCH_ONLY, **CALLBACKS, **MIXED} | {
    name: TASKS[name]
    for name in ("records in an .npy file", "records in a parquet file", "augmented records in a file")
}
REST = {name: TASKS[name] for name in TASKS if name not in QUICK}


def check(experiment):
    steps = sorted(experiment.run.states)
    assert steps == list(range(1, experiment.whole["step"] + 1))
    if (
        "time limit" not in experiment.whole["outcome"][1]
    ):  # it is heard when somebody asks, so not repeatable
        assert experiment.usual_weights() == experiment.whole["weights"]
    for k in steps:
        told, last = experiment.from_step(k)
        assert last == experiment.run.states[steps[-1]], k
        assert told == experiment.whole, k
        for path, content in zip(experiment.lines, experiment.written, strict=True):
            assert events(path.read_bytes()) == events(content), k


STOPS = {"early stopping": "has not improved", "time limit": "time limit", "threshold": "below 1.1"}


def events(content):
    """Gives the lines of what was measured, without those that belong to an attempt."""
    lines = [json.loads(line) for line in content.splitlines()]
    return [
        {key: value for key, value in line.items() if key != "seconds"}
        for line in lines
        if line["event"] in ("validation", "epoch")
    ]


@pytest.mark.parametrize("name", QUICK)
def test_a_run_resumed_at_any_step_ends_as_if_it_was_never_cut(folder, name):
    experiment = Experimenting({"train.epochs": 2, **QUICK[name]}, folder)
    kind, reason = experiment.whole["outcome"]
    assert (kind, STOPS.get(name, "") in reason) == ("stopped" if name in STOPS else "done", True)
    check(experiment)


GRADIENT = st.fixed_dictionaries(
    {},
    optional={
        "train.clip_norm": st.just(0.5),
        "train.clip_value": st.just(0.05),
        "train.precision": st.sampled_from(["bfloat16", "float16"]),
        "train.groups": st.just([{"match": "norm_*|*.bias", "weight_decay": 0.0, "lr_scale": 0.5}]),
    },
)
OPTIMIZERS = [TRAINING[name] for name in ("sgd", "adam", "rmsprop", "adagrad")]
LINE_SEARCH = {**TORCH_ONLY["lbfgs"], "train.batch_size": 16}
RULES = st.one_of(
    st.builds(lambda rule, more: {**rule, **more}, st.sampled_from([{}, *OPTIMIZERS]), GRADIENT),
    st.just(LINE_SEARCH),
)
KINDS = st.sampled_from(
    [{}, TASKS["table"], CNN, TASKS["augmented records in a file"], TASKS["records in an .npy file"]]
)
FLAGS = st.fixed_dictionaries(
    {
        "train.callbacks": st.lists(st.sampled_from(sorted(CALLBACKS)), unique=True).map(
            lambda names: [one for name in names for one in CALLBACKS[name]["train.callbacks"]]
        )
    },
    optional={
        "train.accumulate": st.just(2),
        "train.ema": st.sampled_from([{"decay": 0.9}, {"decay": 0.8, "warmup": False}]),
        "seed": st.integers(0, 9),
    },
)


@settings(
    max_examples=8,
    phases=[Phase.generate],  # a run takes too long to look for a smaller one
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rule=RULES, kind=KINDS, flags=FLAGS, schedule=st.sampled_from(sorted(SCHEDULES)))
def test_a_run_with_any_options_together_ends_as_if_it_was_never_cut(folder, rule, kind, flags, schedule):
    changes = {**kind, **rule, **flags, **SCHEDULES[schedule]}
    check(Experimenting(changes, folder))


@pytest.mark.slow
@pytest.mark.parametrize("name", REST)
def test_a_run_of_any_kind_resumed_at_any_step_ends_as_if_it_was_never_cut(folder, name):
    check(Experimenting(REST[name], folder))


@pytest.mark.slow
@pytest.mark.parametrize("name", MIXED)
def test_a_run_of_equinox_resumed_at_any_step_ends_as_if_it_was_never_cut(folder, name):
    pytest.importorskip("equinox")
    check(Experimenting({"train.epochs": 2, **MIXED[name]}, folder, backend="equinox"))
