"""A run with a profile ends in the same weights and has the same recipe, on every backend."""

import json

import pytest

from trainwright.base.extras import installed
from trainwright.experiment import run_experiment
from trainwright.spec.edit import edit
from trainwright.spec.read import read_experiment
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.train.profiling import Profile

NEEDS = {"keras-torch": ("keras", "torch"), "keras-jax": ("keras", "jax")}


@pytest.mark.parametrize("backend", ["torch", "lightning", "equinox"])
def test_the_weights_and_the_recipe_are_the_same(lab, backend):
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    lab.write(epochs=2)
    experiment = edit(read_experiment(lab.file).experiment, {"train.backend": backend})
    profile = Profile(first=3, steps=4)
    profiled = run_experiment(experiment, folder=lab.folder, home=lab.home, profile=profile)
    plain = run_experiment(experiment, folder=lab.folder, home=lab.home)
    assert profiled.final.weights == plain.final.weights
    registry = Registry(Store.open(lab.home))
    assert registry.spec(registry.run(profiled.run)) == registry.spec(registry.run(plain.run))
    kept = {one.name: registry.artifact_value(one) for one in registry.artifacts(profiled.run)}
    assert kept["profile"] == profile.tree() and kept["profile"]["traced"] == [3, 7]
    events = json.loads(kept["profile/trace.json"])["traceEvents"]
    calls = {one.name: one.calls for one in profile.operations}
    assert {one["name"] for one in events if one.get("ph") == "X"} >= set(calls)
    if backend == "equinox":  # a loop of four steps: each operation of its body four times
        assert sum(one == 4 for one in calls.values()) > 5
        assert profile.seconds["compiling"] > 0
    else:  # one of three dense layers has a bias, the other two are normalised
        assert calls["aten::addmm"] == 4 and "compiling" not in profile.seconds
        assert calls.get("[Strategy]SingleDeviceStrategy.training_step") == (
            4 if backend == "lightning" else None
        )
    assert not {"profile", "profile/trace.json"} & {one.name for one in registry.artifacts(plain.run)}


@pytest.mark.parametrize(
    "backend",
    [
        "torch",
        pytest.param("keras-torch", marks=pytest.mark.slow),
        pytest.param("keras-jax", marks=pytest.mark.slow),
    ],
)
def test_the_command_shows_a_table_and_where_the_trace_is(lab, backend):
    for package in NEEDS.get(backend, (backend,)):
        if not installed(package):
            pytest.skip(f"{package} is not installed")
    lab.write(epochs=2)
    ask = ("-q", "--set", f"train.backend={backend}")
    process = lab.start("run", lab.file, "--profile", *ask)
    out, err = process.communicate(timeout=250)
    assert process.returncode == 0 and err == ""
    assert "\nsteps 9 to 16, " in out and "\nsteps  " in out
    plain = lab.json("run", lab.file, "--again", *ask)
    assert f"sha256:{plain['weights']} " in out and "profile" not in plain
    show = out.split("trace    trainwright ")[1].splitlines()[0].split()
    assert json.loads(lab.start(*show).communicate(timeout=100)[0])["traceEvents"]
