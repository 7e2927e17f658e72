"""The user's own callbacks of Keras hear everything, and decide nothing."""

import numpy as np
import pytest

from backends.keras.engine import ENGINE, NAME, make_backend
from contracts.learner import END, PER_EPOCH, EverySteps, LearnerContract, assert_equal_bits, go_on
from trainwright.backends.keras.engine import own_engine
from trainwright.backends.keras.listeners import INSTEAD, check_listeners
from trainwright.base.errors import BackendError, SpecError
from trainwright.base.tensors import dump_tree, load_tree
from trainwright.spec.keras import KerasSpec
from trainwright.spec.part import Use
from trainwright.spec.schedule import Cosine
from trainwright.spec.train import SGD, TrainSpec
from trainwright.train.learner import Answer
from trainwright.train.loop import TrainingLoop
from trainwright.train.run import NullRun

keras = own_engine(ENGINE, threads=1)


class Making(LearnerContract):
    backend = NAME

    def make_backend(self):
        return make_backend()


def use(name, **args):
    return Use(use=name if ":" in name else f"backends.keras.heard:{name}", args=args)


def heard_by(*uses, **more):
    return Making().learner(keras=KerasSpec(callbacks=list(uses)), **more)


def measure(one):
    one.hear({"val/loss": one.step + 0.1})  # as the loop does before it saves
    return Answer()


def test_a_callback_hears_each_batch_by_our_epochs_and_changes_no_bit():
    (learner, feed), (alone, _) = heard_by(use("Batches")), Making().learner()
    told = []
    learner.train(feed, EverySteps(4), lambda one: told.append(dict(one.sums)) or measure(one))
    sums = []
    alone.train(feed, EverySteps(1), lambda one: sums.append(one.sums["loss"]) or go_on(one))
    (batches,) = learner.listeners
    epoch = [["batch", n] for n in range(PER_EPOCH)]
    heard = [[["epoch", n], *epoch] for n in range(3)]
    assert batches.heard == [["begin", 3, PER_EPOCH], *heard[0], *heard[1], *heard[2], ["end"]]
    assert batches.losses == [total / weight for total, weight in sums]
    assert batches.epochs == {"0": {}, "1": {"val_loss": 12.1}, "2": {"val_loss": 18.1}}
    assert_equal_bits(learner.weights(), alone.weights())
    assert learner.sums == alone.sums


@pytest.mark.parametrize("cut", [8, 2 * PER_EPOCH])
def test_a_callback_goes_on_from_its_own_state_also_at_the_end_of_an_epoch(cut):
    def loop(learner, feed, end=None):
        run = NullRun()
        made = TrainingLoop(learner, feed, run=run, epochs=3, end=end)
        return run, made

    (whole, feed), (first, _), (second, _) = (heard_by(use("Batches")) for _ in range(3))
    run, made = loop(whole, feed)
    made.fit()
    kept, made = loop(first, feed, end=cut)
    made.fit()
    state = load_tree(b"".join(dump_tree(kept.last.state)))
    again, made = loop(second, feed)
    made.fit(state)
    assert_equal_bits(second.state(), whole.state())
    assert_equal_bits(again.last.state, run.last.state)
    (batches,) = second.listeners
    assert batches.count == END and list(batches.epochs) == ["0", "1", "2"]
    assert all(list(one) == ["loss"] for one in batches.epochs.values())
    epoch, batch = divmod(cut, PER_EPOCH)
    assert batches.heard[:3] == [["begin", 3, PER_EPOCH], ["epoch", epoch], ["batch", batch]]


def test_the_state_of_another_callback_is_refused():
    learner, feed = heard_by(use("Batches"))
    kept = learner.state()
    assert kept["keras"] == [["Batches", {"count": 0, "losses": [], "epochs": {}}]]
    other, _ = heard_by(use("Ends"))
    with pytest.raises(BackendError, match=r"made with \['Batches'\], not \['Ends'\]"):
        other.load_state(kept)
    del kept["keras"]
    with pytest.raises(BackendError, match="the state lacks 'keras'"):
        learner.load_state(kept)


def test_a_callback_reads_the_current_weights_and_rates():
    options = {"schedule": Cosine(name="cosine"), "optimizer": SGD(name="sgd", lr=0.5)}
    (learner, feed), (alone, _) = (
        heard_by(use("Weights"), use("Rates"), **options),
        Making().learner(**options),
    )
    learner.train(feed, EverySteps(END), go_on)
    told = []
    alone.train(feed, EverySteps(1), lambda one: told.append(one.weights()) or go_on(one))
    weights, rates = learner.listeners
    assert_equal_bits(weights.seen, told)
    expected = 0.5 * (1 + np.cos(np.pi * np.arange(END) / END)) / 2
    np.testing.assert_allclose(rates.seen, expected, atol=1e-12)


def test_keras_own_callbacks_write_where_the_user_says(tmp_path, capfd):
    file = tmp_path / "log.csv"
    learner, feed = heard_by(use("keras.callbacks:CSVLogger", filename=str(file)))

    def measure(one):
        one.hear({"train/loss": one.step / 4, "val/loss": one.step / 8})
        return Answer()

    learner.train(feed, EverySteps(PER_EPOCH), measure)
    assert file.read_text().splitlines() == ["epoch,loss,val_loss", "0,1.5,0.75", "1,3.0,1.5", "2,4.5,2.25"]
    assert [one.name for one in tmp_path.iterdir()] == ["log.csv"] and capfd.readouterr() == ("", "")


def test_a_log_of_keras_that_appends_is_whole_after_a_resume(tmp_path):
    file = tmp_path / "log.csv"
    log = use("keras.callbacks:CSVLogger", filename=str(file), append=True)
    (first, feed), (second, _) = heard_by(log), heard_by(log)
    first.train(feed, EverySteps(PER_EPOCH, end=2 * PER_EPOCH), measure)
    second.load_state(first.state())
    second.train(feed, EverySteps(PER_EPOCH), measure)
    assert file.read_text().splitlines() == ["epoch,val_loss", "0,6.1", "1,12.1", "2,18.1"]


@pytest.mark.parametrize("name", INSTEAD)
def test_a_callback_that_decides_is_refused_with_the_field_to_use(name):
    args = {
        "ModelCheckpoint": {"filepath": "x.keras"},
        "BackupAndRestore": {"backup_dir": "x"},
        "OrbaxCheckpoint": {"directory": "x"},
        "LearningRateScheduler": {"schedule": "x"},
    }.get(name, {})
    one = use(f"keras.callbacks:{name}", **args)
    with pytest.raises(SpecError, match=rf"train\.keras\.callbacks\.0\.use: {name} decides .*; write "):
        check_listeners(KerasSpec(callbacks=[one]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("backends.keras.heard:Batch", r"use: .*cannot be imported"),
        ("backends.keras.engine:make_backend", r"use: .*is not a class with set_params"),
        ("os:system", r"use: 'os:system' is not a class"),
        ("CSVLogger", r"use: unknown name 'CSVLogger'"),
        ("keras.callbacks:CSVLogger", r"args: .*missing a required argument: 'filename'"),
    ],
)
def test_what_is_no_callback_is_refused(name, said):
    with pytest.raises(SpecError, match=rf"train\.keras\.callbacks\.0\.{said}"):
        check_listeners(KerasSpec(callbacks=[Use(use=name)]))


def test_what_cannot_be_kept_is_refused_before_the_first_step():
    with pytest.raises(BackendError, match=r"state\(\) of Odd: deep/0: a tree holds .*, not set"):
        heard_by(use("Odd"))


@pytest.mark.parametrize(("at", "step"), [("batch", 1), ("epoch", PER_EPOCH)])
def test_an_end_by_a_callback_is_an_error_that_names_the_cure(at, step):
    learner, feed = heard_by(use("Ends", at=at))
    text = rf"set at step {step} of {END} by one of Ends; .*train\.callbacks, not in train\.keras"
    with pytest.raises(BackendError, match=text):
        learner.train(feed, EverySteps(4), go_on)
    assert learner.step == step


@pytest.mark.parametrize(("name", "hook"), [("Raises", "on_epoch_end"), ("Misfit", "on_train_batch_end")])
def test_an_error_says_which_callback_raised_it(name, hook):
    learner, feed = heard_by(use("Batches"), use(name))
    with pytest.raises((ValueError, TypeError)) as caught:
        learner.train(feed, EverySteps(4), go_on)
    place = f"train.keras.callbacks.1: backends.keras.heard:{name}.{hook}"
    assert caught.value.__notes__ == [f"trainwright: raised in {place}"]


def test_an_error_says_which_callback_s_state_raised_it():
    with pytest.raises(AttributeError) as caught:
        heard_by(use("Forgets"))
    place = "train.keras.callbacks.0: backends.keras.heard:Forgets.state"
    assert caught.value.__notes__ == [f"trainwright: raised in {place}"]


def test_an_error_of_whoever_is_told_is_not_blamed_on_a_callback():
    learner, feed = heard_by(use("Batches"))
    with pytest.raises(ZeroDivisionError) as caught:
        learner.train(feed, EverySteps(4), lambda one: 1 / 0)
    assert not hasattr(caught.value, "__notes__")


def test_an_answer_that_stops_is_no_fault_of_a_callback():
    learner, feed = heard_by(use("Batches"))
    learner.train(feed, EverySteps(PER_EPOCH), lambda one: Answer(stop="enough"))
    (batches,) = learner.listeners
    assert learner.step == PER_EPOCH and list(batches.epochs) == ["0"] and batches.heard[-1] == ["end"]


def test_a_rate_that_a_callback_sets_is_an_error_that_names_the_fields():
    learner, feed = heard_by(use("Rates", to=0.1))
    with pytest.raises(BackendError, match=r"train\.optimizer\.lr and train\.schedule"):
        learner.train(feed, EverySteps(4), go_on)


def test_nobody_else_hears_it():
    with pytest.raises(ValueError, match="keras: nobody but backend: keras hears it"):
        TrainSpec(backend="torch", keras=KerasSpec())
