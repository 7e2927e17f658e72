"""An optimizer of a user's own on Equinox: it trains, follows the schedule, and resumes to the same bits."""

import numpy as np
import pytest

pytest.importorskip("equinox")

import optax

from contracts.learner import END, EverySteps, LearnerContract, assert_equal_bits, go_on
from trainwright.backends.equinox.backend import EquinoxBackend
from trainwright.base.errors import BackendError, SpecError
from trainwright.base.tensors import dump_tree, load_tree
from trainwright.spec.optimizer import Adam, AdamW, Group, OwnOptimizer, count_moments
from trainwright.spec.own_code import check_own_code
from trainwright.spec.schedule import Cosine
from trainwright.spec.train import TrainSpec


class Equinox(LearnerContract):
    backend = "equinox"

    def make_backend(self):
        return EquinoxBackend()


def own(name, **args):
    return OwnOptimizer(name="own", use=f"backends.own_optimizers:{name}", args=args, lr=0.01)


def train(optimizer, *, seed=3, clock=None, **options):
    learner, feed = Equinox().learner(seed, optimizer=optimizer, **options)
    learner.train(feed, clock or EverySteps(END), go_on)
    return learner


@pytest.mark.parametrize(
    ("mine", "ours"),
    [
        (own("Adam"), Adam(name="adam", lr=0.01)),
        (own("Adam", decay=0.1), AdamW(name="adamw", lr=0.01, weight_decay=0.1)),
    ],
    ids=["adam", "adamw"],
)
def test_optax_s_own_rules_give_what_ours_give(mine, ours):
    options = {"schedule": Cosine(name="cosine", warmup_epochs=0.5), "clip_norm": 0.1, "weights": True}
    options["groups"] = [Group(match="dense_0.weight", lr_scale=0.5), Group(match="dense_1.*", frozen=True)]
    left, right = train(mine, **options), train(ours, **options)
    for name, array in left.weights().items():
        np.testing.assert_allclose(array, right.weights()[name], atol=1e-6)
    initial, _ = Equinox().learner(3, optimizer=ours, **options)
    moved = {name: np.abs(array - initial.weights()[name]).max() for name, array in left.weights().items()}
    assert moved["dense_1.weight"] == 0.0 and moved["dense_0.weight"] > 1e-3
    other = train(own("Adam", decay=0.2), **options).weights()["output.weight"]
    assert np.abs(other - left.weights()["output.weight"]).max() > 1e-6  # the arguments count


@pytest.mark.parametrize("options", [{}, {"ema": {"decay": 0.9}, "accumulate": 2, "batch_size": 2}])
def test_a_run_resumed_at_any_step_ends_in_the_same_bits(options):
    whole = train(own("Noisy"), **options)
    assert_equal_bits(train(own("Noisy"), clock=EverySteps(1), **options).state(), whole.state())
    states = {}
    learner, feed = Equinox().learner(optimizer=own("Noisy"), **options)
    learner.train(
        feed,
        EverySteps(1),
        lambda one: states.update({one.step: b"".join(dump_tree(one.state()))}) or go_on(one),
    )
    for step in (1, 5, 6, 7, 17):
        fresh, feed = Equinox().learner(8, optimizer=own("Noisy"), **options)
        fresh.load_state(load_tree(states[step]))
        fresh.train(feed, EverySteps(END), go_on)
        assert_equal_bits(fresh.state(), whole.state())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Typed", "keeps a key<fry>"),
        ("Growing", "changes the shape of its state"),
        ("Searching", "cannot make a step from gradients, state and weights alone"),
        ("Nothing", "gave a float; `optax` gives a GradientTransformation"),
    ],
)
def test_a_rule_that_could_not_be_trained_with_is_refused_before_the_first_step(name, text):
    with pytest.raises(BackendError, match=rf"train\.optimizer: 'backends.own_optimizers:{name}' {text}"):
        Equinox().learner(optimizer=own(name))


def test_its_class_is_looked_at_before_anything_is_written():
    for name in ("Rateless", "Missing"):
        spec = TrainSpec(backend="equinox", loss="mse", optimizer=own(name))
        with pytest.raises(SpecError, match=r"train\.optimizer\.use: "):
            check_own_code(spec, task_type="regression")
    check_own_code(TrainSpec(loss="mse", optimizer=own("Adam")), task_type="regression")
    assert count_moments(own("Adam")) == 2 and isinstance(optax.adam(0.1), optax.GradientTransformation)


def test_torch_has_none():
    pytest.importorskip("torch")
    from trainwright.backends.torch.backend import TorchBackend

    class Torch(LearnerContract):
        backend = "torch"

        def make_backend(self):
            return TorchBackend()

    with pytest.raises(BackendError, match=r"torch has no 'own'; write train\.backend: equinox"):
        Torch().learner(optimizer=own("Adam"))


def test_decay_of_a_group_is_refused():
    with pytest.raises(ValueError, match=r"groups\.0\.weight_decay: an optimizer of your own decides"):
        TrainSpec(optimizer=own("Adam"), groups=[Group(match="*", weight_decay=0.1)])
    with pytest.raises(ValueError, match="use: 'Adam' is no code of your own"):
        OwnOptimizer(name="own", use="Adam")
