"""The user's own callbacks and loggers hear everything, and decide nothing."""

import inspect
import json

import pytest

pytest.importorskip("lightning")

from backends import test_lightning as contract
from contracts.learner import END, PER_EPOCH, EverySteps, assert_equal_bits, go_on
from trainwright.backends.lightning.listeners import INSTEAD, check_listeners
from trainwright.base.errors import BackendError, SpecError
from trainwright.base.tensors import dump_tree, load_tree
from trainwright.spec.lightning import LightningSpec
from trainwright.spec.part import Use
from trainwright.spec.train import TrainSpec
from trainwright.train.learner import Answer

BATCHES = Use(use="backends.heard:Batches")


def heard_by(*callbacks, loggers=(), **more):
    spec = LightningSpec(callbacks=list(callbacks), loggers=list(loggers), **more)
    return contract.TestLightning().learner(lightning=spec)


def measure(one):
    one.hear({"val/loss": one.step + 0.1})  # as the loop does before it saves
    return Answer()


def test_a_callback_hears_each_batch_and_what_was_measured_and_changes_no_bit():
    (learner, feed), (alone, _) = heard_by(BATCHES), contract.TestLightning().learner()
    learner.train(feed, EverySteps(4), measure)
    alone.train(feed, EverySteps(4), go_on)
    (batches,) = learner.listeners.callbacks
    assert batches.count == END
    assert batches.seen == {"0": {"val/loss": 4.1}, "1": {"val/loss": 12.1}, "2": {"val/loss": 18.1}}
    assert_equal_bits(learner.weights(), alone.weights())
    assert learner.sums == alone.sums


def test_a_callback_goes_on_from_its_own_state():
    (whole, feed), (first, _), (second, _) = heard_by(BATCHES), heard_by(BATCHES), heard_by(BATCHES)
    whole.train(feed, EverySteps(4), measure)
    kept = []
    first.train(feed, EverySteps(4, end=8), lambda one: kept.append(dump_tree(one.state())) or measure(one))
    second.load_state(load_tree(b"".join(kept[-1])))
    second.train(feed, EverySteps(4), measure)
    assert_equal_bits(second.state(), whole.state())
    assert second.state()["lightning"][0][1]["count"] == END
    lacking = first.state()
    del lacking["lightning"]
    with pytest.raises(BackendError, match="the state lacks 'lightning'"):
        second.load_state(lacking)
    other, _ = heard_by(Use(use="backends.heard:Ends"))
    with pytest.raises(BackendError, match=r"made with \['Batches'\], not \['Ends'\]"):
        other.load_state(first.state())


def test_the_end_of_an_epoch_is_heard_once_and_before_a_checkpoint_is_taken_there():
    learner, feed = heard_by(BATCHES)
    kept = {}

    def hear(one):
        answer = measure(one)
        kept[one.step] = one.state()["lightning"][0][1]
        return answer

    learner.train(feed, EverySteps(4), hear)
    (batches,) = learner.listeners.callbacks
    assert batches.ends == 3 and list(batches.seen) == ["0", "1", "2"]
    assert kept[4]["ends"] == 0 and kept[8]["ends"] == 1  # the first epoch ends untold, at step 6
    assert kept[12]["ends"] == 2 and kept[12]["seen"]["1"] == {"val/loss": 12.1}
    assert kept[END]["ends"] == 3 and "on_train_epoch_end" not in vars(batches)


def test_a_logger_gets_what_was_measured_exactly_and_single_losses_now_and_then(tmp_path):
    lines = Use(use="backends.heard:Lines", args={"folder": str(tmp_path)})
    learner, feed = heard_by(loggers=[lines], log_every=4)
    losses = {}

    def hear(one):
        losses[one.step] = one.sums["loss"][0]
        one.hear({"val/loss": 1 / 3} if one.step == PER_EPOCH else {})
        return Answer()

    learner.train(feed, EverySteps(1), hear)
    first, *told, last = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert first["params"]["optimizer"] == {**first["params"]["optimizer"], "name": "adamw", "lr": 0.01}
    assert last == {"status": "success"}
    assert [line["step"] for line in told] == [4, 6, 8, 12, 16]
    assert told[1] == {"step": 6, "val/loss": 1 / 3, "epoch": 0}
    for line in (told[0], told[2]):  # steps of four records
        before = losses[line["step"] - 1]
        assert line["train/loss_step"] * 4 == pytest.approx(losses[line["step"]] - before, rel=1e-5)
        assert line["lr"] == 0.01


def test_lightning_s_own_parts_work_where_the_user_says(tmp_path, monkeypatch, capfd):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "kept"
    places = "lightning.pytorch.callbacks:ModelCheckpoint", "lightning.pytorch.loggers:CSVLogger"
    keep = Use(use=places[0], args={"dirpath": str(folder), "monitor": "val/loss", "filename": "best"})
    csv = Use(use=places[1], args={"save_dir": str(tmp_path / "logged")})
    learner, feed = heard_by(keep, loggers=[csv])
    kept = {}

    def hear(one):
        kept[one.step] = one.weights()
        one.hear({"val/loss": abs(one.step - 12.0)})
        return Answer()

    learner.train(feed, EverySteps(PER_EPOCH), hear)
    state = torch.load(folder / "best.ckpt", weights_only=True)
    assert (state["global_step"], state["epoch"]) == (12, 1)
    assert_equal_bits({name: one.numpy() for name, one in state["state_dict"].items()}, kept[12])
    (rows,) = (tmp_path / "logged").rglob("metrics.csv")
    assert rows.read_text().splitlines()[1:] == ["0,6,6.0", "1,12,0.0", "2,18,6.0"]
    assert {one.name for one in tmp_path.iterdir()} == {"kept", "logged"} and capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", INSTEAD)
def test_a_callback_that_decides_is_refused_with_the_field_to_use(name):
    from lightning.pytorch import callbacks

    made = getattr(callbacks, name)
    parameters = {"monitor": "val/loss", "swa_lrs": 0.1, "scheduling": {}, "pruning_fn": "l1_unstructured"}
    wanted = set(inspect.signature(made).parameters) & set(parameters)
    use = Use(use=f"lightning.pytorch.callbacks:{name}", args={one: parameters[one] for one in wanted})
    with pytest.raises(SpecError, match=rf"train\.lightning\.callbacks\.0\.use: {name} decides .*; write "):
        check_listeners(LightningSpec(callbacks=[use]))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"callbacks": ["backends.heard:Batch"]}, r"callbacks\.0\.use: .*cannot be imported"),
        ({"callbacks": ["backends.heard:Lines"]}, r"callbacks\.0\.use: .*Lines has no methods `setup`"),
        ({"loggers": ["backends.heard:Batches"]}, r"loggers\.0\.use: .*Batches has no methods `log_metrics`"),
        ({"loggers": ["backends.heard:Lines"]}, r"loggers\.0\.args: .*missing a required argument: 'folder'"),
        ({"callbacks": ["os:system"]}, r"callbacks\.0\.use: 'os:system' is not a class"),
        ({"callbacks": ["Batches"]}, r"callbacks\.0\.use: unknown name 'Batches'"),
    ],
    ids=str,
)
def test_what_is_no_callback_or_logger_is_refused(spec, said):
    parts = {name: [Use(use=one) for one in uses] for name, uses in spec.items()}
    with pytest.raises(SpecError, match=rf"train\.lightning\.{said}"):
        check_listeners(LightningSpec(**parts))


@pytest.mark.parametrize(
    ("uses", "said"),
    [
        (["backends.heard:Odd"], r"Odd\.deep\.0 of state_dict\(\) is a set"),
        (["lightning.pytorch.callbacks:ModelCheckpoint"], r"ModelCheckpoint writes files; give it `dirpath`"),
        (["lightning.pytorch.callbacks:TQDMProgressBar"] * 2, r"train\.lightning: .*progress bar"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_step(uses, said):
    with pytest.raises((BackendError, SpecError), match=said):
        heard_by(*(Use(use=one) for one in uses))


def test_an_end_by_a_callback_is_an_error_that_names_the_cure():
    learner, feed = heard_by(Use(use="backends.heard:Ends"))
    with pytest.raises(BackendError, match=r"after step 1 of 18.*train\.callbacks, not in train\.lightning"):
        learner.train(feed, EverySteps(4), go_on)


@pytest.mark.parametrize(
    ("name", "hook"), [("Raises", "on_train_epoch_end"), ("Misfit", "on_train_batch_end")]
)
def test_an_error_says_which_callback_raised_it(name, hook):
    learner, feed = heard_by(BATCHES, Use(use=f"backends.heard:{name}"))
    with pytest.raises((ValueError, TypeError)) as caught:
        learner.train(feed, EverySteps(4), go_on)
    place = f"train.lightning.callbacks.1: backends.heard:{name}.{hook}"
    assert caught.value.__notes__ == [f"trainwright: raised in {place}"]


def test_an_error_says_which_logger_raised_it(tmp_path):
    lines = Use(use="backends.heard:Lines", args={"folder": str(tmp_path / "missing")})
    learner, feed = heard_by(loggers=[lines])
    with pytest.raises(FileNotFoundError) as caught:
        learner.train(feed, EverySteps(4), go_on)
    place = "train.lightning.loggers.0: backends.heard:Lines.finalize"  # heard after the first error, too
    assert caught.value.__notes__ == [f"trainwright: raised in {place}"]


def test_an_error_says_which_callback_s_state_raised_it():
    with pytest.raises(AttributeError) as caught:
        heard_by(Use(use="backends.heard:Forgets"))
    place = "train.lightning.callbacks.0: backends.heard:Forgets.state_dict"
    assert caught.value.__notes__ == [f"trainwright: raised in {place}"]


def test_an_error_of_whoever_is_told_is_not_blamed_on_a_callback():
    learner, feed = heard_by(BATCHES)
    with pytest.raises(ZeroDivisionError) as caught:
        learner.train(feed, EverySteps(4), lambda one: 1 / 0)
    assert not hasattr(caught.value, "__notes__")


def test_nobody_else_hears_it():
    with pytest.raises(ValueError, match="lightning: nobody but backend: lightning hears it"):
        TrainSpec(backend="torch", lightning=LightningSpec())
