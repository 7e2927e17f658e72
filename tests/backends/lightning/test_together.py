"""Two processes make the steps of one with batches twice as large; whatever happens to one ends both."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("lightning")

from backends import test_lightning as contract
from backends.together import CASES, STEPS, train_all
from contracts.learner import EverySteps, assert_equal_bits, go_on
from trainwright.backends.lightning.together import check_together
from trainwright.base.errors import BackendError, SpecError
from trainwright.base.tensors import dump_tree, load_tree
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.lightning import LightningSpec
from trainwright.spec.model import ModelSpec
from trainwright.spec.part import Use
from trainwright.spec.train import TrainSpec
from trainwright.train.learner import Answer


def learner_of(devices, *callbacks, **options):
    spec = LightningSpec(devices=devices, callbacks=list(callbacks))
    return contract.TestLightning().learner(lightning=spec, **options)


ROUGH = {  # where the last digits of a sum count for more
    "bfloat16": 2e-3,  # the gradient of each process is rounded by itself
    "float16": 2e-4,
    "lbfgs without line search": 1e-5,
    "a process without records": 4e-6,  # the last step of an epoch normalises two records
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    meeting = tmp_path_factory.mktemp("together") / "meeting"
    other = subprocess.Popen(
        [sys.executable, "-m", "backends.together", str(meeting)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        here = train_all(0, meeting)
        out, _ = other.communicate(timeout=200)
    finally:
        other.kill()
        other.wait()
    return here, json.loads(out)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_make_the_steps_of_one_with_batches_twice_as_large(both, name):
    here, there = both
    weights, sums, digest = here[name]
    assert there[name] == digest  # to the last bit
    options = CASES[name]
    learner, feed = learner_of(1, **{**options, "batch_size": 2 * options.get("batch_size", 4)})
    start = learner.weights()
    learner.train(feed, EverySteps(4, end=STEPS), go_on)
    atol = ROUGH.get(name, 1e-6)
    for key, array in learner.weights().items():
        np.testing.assert_allclose(weights[key], array, rtol=0, atol=atol, err_msg=key)
    assert any(np.abs(array - start[key]).max() > 10 * atol for key, array in weights.items())
    assert sums["loss"] == pytest.approx(learner.sums["loss"], rel=100 * atol if atol > 1e-5 else 1e-6)


@pytest.mark.slow
def test_it_goes_on_in_both_processes_from_what_both_kept(both):
    acts = Use(use="backends.heard:Acts")
    (first, feed), (second, _) = (learner_of(2, acts, **CASES["dropout"]) for _ in range(2))
    told = []

    def stop(one):
        told.append((one.step, b"".join(dump_tree(one.state()))))
        return Answer(stop="enough" if one.step == 4 else None)

    first.train(feed, EverySteps(2, end=STEPS), stop)
    assert [step for step, _ in told] == [2, 4] and first.step == 4
    second.load_state(load_tree(told[-1][1]))

    def keep(one):
        one.hear({"val/loss": float(one.step)})  # as the loop does before it saves
        told.append((one.step, one.state()))
        return Answer()

    second.train(feed, EverySteps(2, end=STEPS), keep)
    whole, sums, digest = both[0]["dropout"]
    assert_equal_bits(second.weights(), whole)
    assert second.kept()[0] == digest and second.sums == sums
    # 22 records an epoch, of which the first process takes 4, 4, 4 and the other one 4, 4, 2.
    own, ((_, other),) = second.state()["lightning"][0][1], second.state()["lightning_others"][0]
    assert (own["count"], other["count"]) == (36, 30)
    step, state = told[2]
    assert step == 6  # the end of an epoch is in a checkpoint taken there, of both processes
    for (_, callback), *_ in (state["lightning"], *state["lightning_others"]):
        assert callback["ends"] == 2 and callback["seen"]["1"] == {"val/loss": 6.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("do", "said"),
    [
        ("raise", r"process 1 failed: ValueError: of my own"),
        ("die", r"process 1 was killed by signal 9; the run needs all of them"),
        ("end", r"process 1 failed: BackendError: lightning: Trainer\.fit returned after step 3 of 9"),
        ("change", r"process 1 holds other weights than process 0; does a callback change them\?"),
    ],
)
def test_what_happens_to_the_other_process_is_an_error_that_names_it(do, said):
    hook = sys.excepthook
    learner, feed = learner_of(2, Use(use="backends.heard:Acts", args={"rank": 1, "step": 3, "do": do}))
    with pytest.raises(BackendError, match=said):
        learner.train(feed, EverySteps(4, end=STEPS), lambda one: one.state() and Answer())
    assert sys.excepthook is hook
    learner, feed = learner_of(1)
    learner.train(feed, EverySteps(4, end=3), go_on)  # this process is none of a group any more
    assert learner.step == 3


@pytest.mark.slow
def test_an_error_of_the_first_process_comes_out_as_it_is_and_ends_the_other():
    error = SpecError("of the loop")
    seen = []

    def fail(one):
        seen.extend(process.pid for process in one._ranks._processes)
        raise error

    learner, feed = learner_of(2)
    with pytest.raises(SpecError) as caught:
        learner.train(feed, EverySteps(4, end=STEPS), fail)
    assert caught.value is error
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


@pytest.mark.slow
def test_it_ends_when_the_first_process_is_gone(tmp_path):
    code = f"""
import os, sys
from backends.lightning.test_together import EverySteps, learner_of
def tell(one):
    print(one._ranks._processes[0].pid, flush=True)
    os.kill(os.getpid(), {signal.SIGKILL})
learner, feed = learner_of(2)
learner.train(feed, EverySteps(4), tell)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    other = int(done.stdout)
    for _ in range(100):
        try:
            os.kill(other, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the other process is still there")


MODEL = {"architecture": "mlp", "input_dim": 3, "output_dim": 2}


@pytest.mark.parametrize(
    ("train", "in_memory", "said"),
    [
        ({"loss": "triplet"}, True, "'triplet' compares all records of a batch"),
        ({"loss": "mse"}, False, "records that stay in their file are read by one process"),
    ],
)
def test_what_two_processes_cannot_share_is_refused(train, in_memory, said):
    spec = TrainSpec(backend="lightning", lightning=LightningSpec(devices=2), **train)
    task = ModelTask(build_blueprint(ModelSpec(**MODEL), loss=train["loss"]), spec, 1)
    with pytest.raises(SpecError, match=rf"train\.lightning\.devices: {said}.*devices: 1"):
        check_together(task, in_memory=in_memory)


def test_several_processes_train_on_cpus_only():
    with pytest.raises(ValueError, match=r"lightning\.devices: several processes train on a CPU only"):
        TrainSpec(backend="lightning", device="cuda", lightning=LightningSpec(devices=2))
