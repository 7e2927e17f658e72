"""What Lightning may do beside making steps: nothing."""

import logging
import os
import signal
import threading
import warnings

import pytest

pytest.importorskip("lightning")

from lightning.pytorch import Callback

from backends import test_lightning as contract
from contracts.learner import END, PER_EPOCH, VARIANTS, EverySteps, go_on
from trainwright.backends.lightning import learner as learner_file
from trainwright.backends.lightning.trainer import make_trainer
from trainwright.base.errors import BackendError
from trainwright.train.learner import Answer


@pytest.fixture
def make():
    return contract.TestLightning().learner


@pytest.fixture
def with_callbacks(monkeypatch):
    """Gives Trainers callbacks behind the backend's back."""

    def give(*callbacks):
        def make_with(*arguments, **options):
            trainer = make_trainer(*arguments, **options)
            trainer.callbacks.extend(callbacks)
            return trainer

        monkeypatch.setattr(learner_file, "make_trainer", make_with)

    return give


class Heard(Callback):
    """Writes down the counters that Lightning shows its callbacks."""

    def __init__(self):
        self.batches, self.epochs = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        self.batches.append((trainer.current_epoch, batch_idx, trainer.global_step, last))

    def on_train_epoch_start(self, trainer, pl_module):
        self.epochs.append(trainer.current_epoch)


@pytest.mark.parametrize("cut", range(1, END))
def test_its_counters_are_those_of_a_run_that_was_not_cut(make, with_callbacks, cut):
    whole, first, second, state = Heard(), Heard(), Heard(), None
    for heard, begin, end in ((whole, 0, END), (first, 0, cut), (second, cut, END)):
        with_callbacks(heard)
        learner, feed = make()
        if begin:
            learner.load_state(state)
        learner.train(feed, EverySteps(END, end=end), go_on)
        state = learner.state()
    assert first.batches + second.batches == whole.batches
    assert first.epochs + second.epochs == whole.epochs == [0, 1, 2]
    assert whole.batches == [
        (n // PER_EPOCH, n % PER_EPOCH, n + 1, n % PER_EPOCH == PER_EPOCH - 1) for n in range(END)
    ]


def test_it_prints_writes_and_warns_nothing(make, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_NTASKS", "4")  # as within a job of a cluster
    monkeypatch.setenv("SLURM_JOB_NAME", "job")
    levels = [logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")]
    learner, feed = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learner.train(feed, EverySteps(4), go_on)
    assert capfd.readouterr() == ("", "") and list(tmp_path.iterdir()) == []
    assert levels == [logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")]


def test_a_signal_is_heard_by_whoever_heard_it_before(make):
    caught, heard = [], []
    before = signal.signal(signal.SIGTERM, lambda number, frame: caught.append(number))
    try:
        learner, feed = make()

        def hear(one):
            os.kill(os.getpid(), signal.SIGTERM)
            heard.append(one.step)
            return Answer(stop="enough" if one.step == 3 else None)

        learner.train(feed, EverySteps(1), hear)
        assert heard == [1, 2, 3] and caught == [signal.SIGTERM] * 3
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_interruption_is_no_exit_and_ctrl_c_works_afterwards(make):
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(one):
        raise KeyboardInterrupt

    learner, feed = make()
    with pytest.raises(KeyboardInterrupt):
        learner.train(feed, EverySteps(2), interrupt)
    assert learner.step == 2 and signal.getsignal(signal.SIGINT) is handler


def test_an_error_of_the_loop_comes_out_as_it_is(make):
    error = BackendError("of the loop")

    def fail(one):
        raise error

    learner, feed = make()
    with pytest.raises(BackendError) as caught:
        learner.train(feed, EverySteps(2), fail)
    assert caught.value is error


def test_it_trains_in_a_thread_too(make):
    (here, feed), (there, _) = make(), make()
    here.train(feed, EverySteps(4), go_on)
    thread = threading.Thread(target=there.train, args=(feed, EverySteps(4), go_on))
    thread.start()
    thread.join()
    assert there.step == END and there.sums == here.sums


def test_an_end_that_nobody_asked_for_is_an_error(make, with_callbacks):
    class End(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            trainer.should_stop = trainer.global_step == 3

    with_callbacks(End())
    learner, feed = make()
    with pytest.raises(BackendError, match=r"lightning: Trainer\.fit returned after step 3 of 18"):
        learner.train(feed, EverySteps(4), go_on)


def test_an_iteration_that_stops_where_it_was_told_ends_no_epoch(make):
    def stop(one):
        next(iter(()))

    learner, feed = make()
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        learner.train(feed, EverySteps(2), stop)
    assert learner.step == 2


def test_the_parameters_that_lightning_sees_are_those_that_are_trained(make, with_callbacks):
    seen = {}

    class Look(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen[trainer.global_step] = {name: one.clone() for name, one in pl_module.state_dict().items()}
            assert outputs["loss"].item() > 0 and len(batch[0][0]) == (2 if batch_idx == 5 else 4)
            frozen = {name for name, one in pl_module.named_parameters() if not one.requires_grad}
            assert frozen == {"norm_0.weight", "norm_0.bias"}

    with_callbacks(Look())
    learner, feed = make(**VARIANTS["frozen norm"])
    told = {}
    learner.train(feed, EverySteps(1), lambda one: told.update({one.step: one.weights()}) or Answer())
    assert sorted(seen) == sorted(told) == list(range(1, END + 1))
    for step, weights in told.items():
        assert seen[step].keys() == weights.keys()
        assert all((seen[step][name].numpy() == array).all() for name, array in weights.items())
