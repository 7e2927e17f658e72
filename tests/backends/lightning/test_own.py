"""A LightningModule of the user's own trains the network of a spec, and is cut and resumed as any other training."""

from copy import deepcopy

import numpy as np
import pytest

pytest.importorskip("lightning")

import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from backends import test_lightning as contract
from contracts.learner import END, PER_EPOCH, RECORDS, EverySteps, _place, assert_equal_bits, go_on
from trainwright.backends.lightning.own import OwnLearner
from trainwright.base.errors import BackendError, SpecError
from trainwright.base.tensors import dump_tree, load_tree
from trainwright.base.tree import leaves
from trainwright.spec.lightning import LightningSpec
from trainwright.spec.optimizer import SGD, AdamW
from trainwright.spec.part import Use
from trainwright.spec.train import TrainSpec
from trainwright.train.learner import Answer

OWN = {
    "plain": ("Plain", {}, {"model": {"dropout": 0.4}}),
    "rich": ("Rich", {}, {"model": {"normalization": "batch", "dropout": 0.3}}),
    "rich, by epochs": ("Rich", {"interval": "epoch"}, {"clip_norm": 0.5}),
    "accumulated": ("Rich", {}, {"accumulate": 2, "batch_size": 2, "clip_value": 0.1, "weights": True}),
    "two optimizers": ("Rivals", {}, {}),
    "half precision": ("Rich", {}, {"precision": "bfloat16"}),
}


def own(name, args=None, *, seed=3, callbacks=(), **options):
    part = Use(use=f"backends.own_modules:{name}", args=args or {})
    spec = LightningSpec(module=part, callbacks=list(callbacks))
    options = {"precision": "float32", "optimizer": AdamW(name="adamw"), **options}
    learner, feed = contract.TestLightning().learner(seed, lightning=spec, **options)
    assert isinstance(learner, OwnLearner)
    return learner, feed


NO_OPTIMIZER = (
    r"train\.lightning\.module: configure_optimizers gives no optimizer that has a trainable parameter"
)
QUICK = ("rich", "two optimizers")


@pytest.fixture(params=[pytest.param(one, marks=[] if one in QUICK else [pytest.mark.slow]) for one in OWN])
def make(request):
    name, args, options = OWN[request.param]
    return lambda seed=3: own(name, args, seed=seed, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weights": True},
        {"model": {"dropout": 0.4, "normalization": "batch"}},
        {"clip_norm": 0.1},
        {"clip_value": 0.01},
    ],
    ids=str,
)
def test_one_that_does_what_the_spec_says_makes_the_steps_of_torch(options):
    learner, feed = own("Plain", **options)
    lean, _ = contract.TestLightning().learner(**options)
    heard, expected = [], []
    learner.train(feed, EverySteps(PER_EPOCH), lambda one: heard.append(one.sums["loss"]) or Answer())
    lean.train(feed, EverySteps(PER_EPOCH), lambda one: expected.append(one.sums["loss"]) or Answer())
    # torch.optim divides by the corrections of the moments in another order; clipping adds 1e-6 to a norm.
    for name, array in lean.weights().items():
        np.testing.assert_allclose(learner.weights()[name], array, atol=5e-6, err_msg=name)
    np.testing.assert_allclose(heard, expected, rtol=1e-5)
    x = feed.arrays["x"]
    np.testing.assert_allclose(learner.predict(x)["logits"], lean.predict(x)["logits"], atol=3e-5)


def test_accumulated_batches_are_summed_as_lightning_does_it():
    small, feed = own("Plain", accumulate=2, batch_size=2)
    large, _ = own("Plain", batch_size=4)
    heard = []
    small.train(feed, EverySteps(1, end=PER_EPOCH), lambda one: heard.append(one.sums["loss"][1]) or Answer())
    large.train(feed, EverySteps(1, end=PER_EPOCH), go_on)
    assert heard == [4, 8, 12, 16, 20, RECORDS]
    # The last step has one batch, whose gradient Lightning halves all the same; AdamW hardly sees its size.
    for name, array in large.weights().items():
        np.testing.assert_allclose(small.weights()[name], array, atol=2e-3, err_msg=name)


def test_a_learner_resumed_at_any_step_ends_in_the_same_state(make):
    (whole, feed), (first, _) = make(), make()
    told = []
    whole.train(feed, EverySteps(PER_EPOCH), lambda one: told.append(dict(one.sums)) or Answer())
    states = []
    first.train(feed, EverySteps(1), lambda one: states.append(b"".join(dump_tree(one.state()))) or Answer())
    assert_equal_bits(first.state(), whole.state())
    for state in states[1:-1:2]:
        second, _ = make()
        second.train(feed, EverySteps(2, end=2), go_on)
        second.load_state(load_tree(state))
        again = []
        second.train(feed, EverySteps(PER_EPOCH), lambda one, to=again: to.append(dict(one.sums)) or Answer())
        assert_equal_bits(second.state(), whole.state())
        assert again == told[-len(again) :]


@pytest.mark.parametrize("k", [1, 5, PER_EPOCH, PER_EPOCH + 1, END])
def test_stops_exactly_where_it_is_told(k):
    learner, feed = own("Rich")
    learner.train(feed, EverySteps(1), lambda one: Answer(stop="enough" if one.step == k else None))
    assert learner.step == k and learner.module.count == k
    assert int(learner.module.epochs) == k // PER_EPOCH + (k % PER_EPOCH > 0)  # Lightning ends the open epoch


@pytest.mark.parametrize("count", [1, 4, PER_EPOCH, END])
def test_tells_exactly_at_the_clock(count):
    learner, feed = own("Rich")
    heard = []
    learner.train(feed, EverySteps(count), lambda one: heard.append(one.step) or Answer())
    assert heard == [*range(count, END, count), END]


def test_what_it_logs_is_summed_over_the_records_of_an_epoch():
    learner, feed = own("Rich")
    heard = []
    learner.train(feed, EverySteps(PER_EPOCH), lambda one: heard.append(dict(one.sums)) or Answer())
    assert [sums.keys() for sums in heard] == [{"loss", "penalty", "records", "epochs"}] * 3
    assert [sums["loss"][1] for sums in heard] == [RECORDS] * 3
    assert [sums["records"] for sums in heard] == [(5 * 16.0 + 4.0, RECORDS)] * 3  # batches of 4 and one of 2
    assert [sums["epochs"] for sums in heard] == [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]
    total, weight = heard[0]["penalty"]
    assert 0 < total / weight < heard[0]["loss"][0] / heard[0]["loss"][1]


def test_leaving_out_or_forgetting_any_state_item_is_noticed():
    learner, feed = own("Rich")
    learner.train(feed, EverySteps(1, end=4), go_on)
    kept = learner.state()
    for key in kept:
        with pytest.raises(BackendError, match=f"the state lacks '{key}'"):
            own("Rich")[0].load_state({name: one for name, one in kept.items() if name != key})

    def go_from(state):
        other, _ = own("Rich")
        other.load_state(state)
        other.train(feed, EverySteps(1, end=5), go_on)
        return other.state()

    right, fresh = go_from(kept), dict(leaves(own("Rich", seed=9)[0].state()))
    paths = [path for path, value in leaves(kept) if path in fresh and not np.array_equal(value, fresh[path])]
    assert {path.partition("/")[0] for path in paths} >= {"step", "module", "more", "updates", "loss_sum"}
    for path in [*paths, "rules"]:
        broken = deepcopy(kept)
        node, key = _place(broken, path)
        node[key] = fresh[path]
        ends = dict(leaves(go_from(broken)))
        assert any(not np.array_equal(value, ends[place]) for place, value in leaves(right)), path


def test_predicting_leaves_the_state_and_torch_s_generator_untouched():
    (asked, feed), (quiet, _) = own("Rich"), own("Rich")
    asked.train(feed, EverySteps(1), lambda one: one.predict(feed.arrays["x"]) and Answer())
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    quiet.train(feed, EverySteps(1), go_on)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert_equal_bits(asked.state(), quiet.state())


def test_a_callback_of_the_user_hears_the_hooks_and_what_is_logged():
    def measure(one):
        one.hear({"val/loss": one.step + 0.1})
        return Answer()

    learner, feed = own("Rich", callbacks=[Use(use="backends.heard:Batches")])
    learner.train(feed, EverySteps(4), measure)
    (batches,) = learner.listeners.callbacks
    assert batches.count == END
    assert batches.seen["2"].keys() == {"penalty", "train/records", "epochs", "val/loss"}
    assert batches.seen["2"]["val/loss"] == 16.1  # what is measured at an epoch's end comes after its hooks


def test_weights_of_another_version_are_taken():
    (one, feed), (other, _) = own("Rich", seed=3), own("Rich", seed=4)
    one.train(feed, EverySteps(1, end=3), go_on)
    other.load_weights(one.weights())
    assert_equal_bits(other.weights(), one.weights())
    assert_equal_bits(other.predict(feed.arrays["x"]), one.predict(feed.arrays["x"]))


@pytest.mark.parametrize(
    ("name", "args", "error", "said"),
    [
        (
            "Plain",
            {"rate": 1},
            SpecError,
            r"train\.lightning\.module\.args: .*nearest: 'lr'|known: network, lr",
        ),
        ("Missing", {}, SpecError, r"train\.lightning\.module\.use: .*cannot be imported"),
        ("Bare", {}, SpecError, r"train\.lightning\.module\.use: .*is no LightningModule"),
        ("Odd", {}, BackendError, r"train\.lightning\.module: on_save_checkpoint.deep .*is a set"),
        ("Waits", {}, BackendError, r"train\.lightning\.module: .*a scheduler that waits for a metric"),
        ("Other", {}, BackendError, NO_OPTIMIZER),
        ("Idle", {}, BackendError, NO_OPTIMIZER),
        ("Still", {}, BackendError, NO_OPTIMIZER),
        (
            "Raw",
            {"each": True},
            BackendError,
            r"module: training_step gave a loss of shape \(4,\); give one number",
        ),
        ("Raw", {"each": False}, BackendError, r"module: training_step gave a loss without a gradient"),
    ],
)
@pytest.mark.filterwarnings("ignore:`LightningModule.configure_optimizers` returned `None`")
def test_what_cannot_be_is_said(name, args, error, said):
    def go():
        learner, feed = own(name, args)
        learner.train(feed, EverySteps(1, end=2), lambda one: one.state() and Answer())

    with pytest.raises(error, match=said):
        go()


def notes_of(name, tell=go_on):
    learner, feed = own(name)
    kinds = ValueError, TypeError, MisconfigurationException, ZeroDivisionError
    with pytest.raises(kinds) as caught:
        learner.train(feed, EverySteps(1), tell)
    return getattr(caught.value, "__notes__", [])


@pytest.mark.parametrize(("name", "hook"), [("Raises", "training_step"), ("Misfit", "on_train_batch_end")])
def test_an_error_says_that_the_module_raised_it(name, hook):
    place = f"train.lightning.module: backends.own_modules:{name}.{hook}"
    assert notes_of(name) == [f"trainwright: raised in {place}"]


def test_an_error_of_lightning_or_of_whoever_is_told_is_not_blamed_on_the_module():
    assert notes_of("Wordy") == []
    assert notes_of("Rich", lambda one: 1 / 0) == []


MUTE = pytest.mark.filterwarnings("ignore:`training_step` returned `None`")


@MUTE
def test_a_network_that_nothing_has_trained_in_an_epoch_is_refused():
    learner, feed = own("Mute")
    with pytest.raises(BackendError, match=r"train\.lightning\.module: no weight of the network has changed"):
        learner.train(feed, EverySteps(1), go_on)
    assert learner.step == PER_EPOCH


@MUTE
@pytest.mark.parametrize(("name", "args"), [("Mute", {"batches": 1}), ("Plain", {"lr": 0.0})])
def test_one_that_skips_batches_or_begins_at_a_rate_of_0_is_not(name, args):
    learner, feed = own(name, args)
    learner.train(feed, EverySteps(1), go_on)
    assert learner.step == END


def test_what_the_module_decides_is_not_said_twice():
    spec = LightningSpec(module=Use(use="backends.own_modules:Plain"))
    with pytest.raises(ValueError, match=r"optimizer: train\.lightning\.module decides about it"):
        TrainSpec(backend="lightning", lightning=spec, optimizer=SGD(name="sgd", lr=0.1))
    with pytest.raises(ValueError, match=r"devices: a module of your own trains in one process"):
        LightningSpec(module=Use(use="backends.own_modules:Plain"), devices=2)
    with pytest.raises(ValueError, match=r"module\.use: 'Plain' is no code of your own"):
        LightningSpec(module=Use(use="Plain"))
    with pytest.raises(SpecError, match="it accumulates and clips by itself"):
        own("Rivals", accumulate=2)
