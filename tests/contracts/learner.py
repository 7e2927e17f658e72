"""What every backend promises; inherit it and give `backend` and `make_backend`."""

from copy import deepcopy
from typing import ClassVar

import numpy as np
import pytest

from trainwright.base.errors import BackendError, SpecError
from trainwright.base.tensors import dump_tree, load_tree
from trainwright.base.tree import leaves
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.model import ModelSpec
from trainwright.spec.optimizer import LBFGS, SGD, Adagrad, Adam, AdamW, Ema, Group, RMSprop
from trainwright.spec.schedule import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Step,
)
from trainwright.spec.train import TrainSpec
from trainwright.train.feed import ArrayFeed
from trainwright.train.learner import Answer, Resolved

RECORDS, BATCH, EPOCHS = 22, 4, 3  # 5 full steps and a ragged one of 2 records per epoch
PER_EPOCH = 6
END = PER_EPOCH * EPOCHS


class EverySteps:
    """A clock that is told every so many steps."""

    def __init__(self, count, end=END):
        self.count, self.end = count, end

    def next(self, step):
        return min(self.end, step + self.count - step % self.count)


def go_on(learner):
    return Answer()


def make_arrays(task_type="classification", weights=False, shape=(3,)):
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(RECORDS, *shape)).astype(np.float32)
    flat = x.reshape(RECORDS, -1)
    if task_type == "classification":
        y = (flat[:, 0] + flat[:, 1] > 0).astype(np.int64) + (flat[:, 2] > 0.5)
    else:
        y = (flat[:, :2] * flat[:, 1:2]).astype(np.float32)
    arrays = {"x": x, "y": y}
    if weights:
        arrays["weight"] = numbers.uniform(0.5, 2.0, size=RECORDS).astype(np.float32)
    return arrays


def assert_equal_bits(left, right):
    left, right = dict(leaves(left)), dict(leaves(right))
    assert left.keys() == right.keys()
    for path in left:
        np.testing.assert_array_equal(left[path], right[path], err_msg=path)


def _place(tree, path):
    """Gives what holds the item at a path, and its key there."""
    *parents, key = path.split("/")
    for parent in parents:
        tree = tree[int(parent)] if isinstance(tree, list) else tree[parent]
    return tree, int(key) if isinstance(tree, list) else key


VARIANTS = {
    "plain sgd": {"optimizer": SGD(name="sgd", lr=0.1)},
    "sgd with momentum": {
        "optimizer": SGD(name="sgd", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    },
    "adam": {"optimizer": Adam(name="adam", lr=0.01, weight_decay=0.01)},
    "rmsprop": {"optimizer": RMSprop(name="rmsprop", lr=0.01, weight_decay=0.01)},
    "rmsprop, centered, with momentum": {
        "optimizer": RMSprop(name="rmsprop", lr=0.01, centered=True, momentum=0.9)
    },
    "adagrad": {
        "optimizer": Adagrad(
            name="adagrad", lr=0.05, lr_decay=0.1, initial_accumulator=0.1, weight_decay=0.01
        )
    },
    "lbfgs": {"optimizer": LBFGS(name="lbfgs", lr=0.1, max_iter=3, history_size=3)},
    "lbfgs without line search": {
        "optimizer": LBFGS(name="lbfgs", lr=0.05, max_iter=3, line_search="none"),
        "accumulate": 2,
        "batch_size": 2,
    },
    "groups": {
        "groups": [
            Group(match="*.bias", weight_decay=0.0, lr_scale=0.5),
            Group(match="dense_1.* | output.weight", weight_decay=0.1),
        ]
    },
    "frozen": {"groups": [Group(match="dense_0.*", frozen=True)]},
    "frozen norm": {"groups": [Group(match="norm_0.*", frozen=True)], "model": {"normalization": "batch"}},
    "ema": {"ema": Ema(decay=0.9), "model": {"normalization": "batch"}},
    "ema without warm-up": {
        "ema": Ema(decay=0.9, warmup=False),
        "groups": [Group(match="dense_0.weight", frozen=True)],
    },
    "constant with warm-up": {"schedule": Constant(name="constant", warmup_steps=4)},
    "cosine": {"schedule": Cosine(name="cosine", warmup_epochs=0.5)},
    "cosine by epoch": {"schedule": Cosine(name="cosine", by="epoch")},
    "one cycle": {"schedule": OneCycle(name="one_cycle")},
    "step": {"schedule": Step(name="step", every=1, factor=0.5)},
    "multi step": {"schedule": MultiStep(name="multi_step", milestones=[2, 9], by="step")},
    "exponential": {"schedule": Exponential(name="exponential", gamma=0.5, by="step")},
    "linear": {"schedule": Linear(name="linear", warmup_steps=3)},
    "polynomial": {"schedule": Polynomial(name="polynomial", power=3.0)},
    "plateau with warm-up": {"schedule": Plateau(name="plateau", warmup_epochs=1)},
    "clipping": {"clip_norm": 0.1},
    "clipping by value": {"clip_value": 0.01},
    "bfloat16": {"precision": "bfloat16", "model": {"normalization": "batch"}},
    "float16": {"precision": "float16", "clip_norm": 0.5},
    "accumulation": {"accumulate": 2, "batch_size": 2},
    "dropout": {"model": {"dropout": 0.4}},
    "batch norm": {"model": {"normalization": "batch"}},
    "weights": {"weights": True},
    "all at once": {
        "model": {"dropout": 0.3, "normalization": "batch"},
        "schedule": Cosine(name="cosine"),
        "clip_norm": 0.5,
        "accumulate": 2,
        "batch_size": 2,
        "weights": True,
    },
}


class LearnerContract:
    """Inherit it; `lacks` names the variants that the backend refuses, with what it says."""

    backend: str
    run_on = Resolved()
    lacks: ClassVar[dict[str, str]] = {}

    @pytest.fixture(params=VARIANTS)
    def variant(self, request):
        if request.param in self.lacks:
            pytest.skip(f"{self.backend}: {self.lacks[request.param]}")
        return request.param

    def test_what_it_lacks_is_refused(self, make):
        for variant, text in self.lacks.items():
            with pytest.raises(BackendError, match=text):
                make(**VARIANTS[variant])

    def make_backend(self):
        raise NotImplementedError

    def lay_out(self, spec):
        return build_blueprint(spec)

    @pytest.fixture
    def make(self):
        return self.learner

    def learner(self, seed=3, *, model=None, task_type="classification", weights=False, shape=(3,), **train):
        """Makes (learner, feed) with options of the training spec, of the model, and of the data."""
        spec = {
            "backend": self.backend,
            "batch_size": BATCH,
            "epochs": EPOCHS,
            "optimizer": AdamW(name="adamw", lr=0.01),
            "schedule": Constant(name="constant"),
            "loss": "cross_entropy" if task_type == "classification" else "mse",
            **train,
        }
        arrays = make_arrays(task_type, weights, shape)
        options = {"architecture": "mlp", "hidden_dims": [8, 6], **(model or {})}
        outputs = 3 if task_type == "classification" else 2
        plan = self.lay_out(ModelSpec(input_shape=list(shape), output_dim=outputs, **options))
        train_spec = TrainSpec(**spec)
        feed = ArrayFeed(arrays, batch_size=train_spec.records_per_step, seed=5)
        task = ModelTask(plan, train_spec, train_spec.epochs)
        return self.make_backend().prepare(task, feed, seed=seed, run_on=self.run_on), feed

    @pytest.mark.parametrize("k", range(1, END + 1))
    def test_stops_exactly_where_it_is_told(self, make, k):
        learner, feed = make()
        learner.train(feed, EverySteps(1), lambda one: Answer(stop="enough" if one.step == k else None))
        assert learner.step == k

    @pytest.mark.parametrize("count", [1, 4, PER_EPOCH, END])
    def test_tells_exactly_at_the_clock(self, make, count):
        learner, feed = make()
        heard = []
        learner.train(feed, EverySteps(count), lambda one: heard.append(one.step) or Answer())
        assert heard == [*range(count, END, count), END]

    def test_a_learner_resumed_at_any_step_ends_in_the_same_weights_and_sums(self, make, variant):
        options = VARIANTS[variant]
        (whole, feed), (first, _) = make(3, **options), make(3, **options)
        whole.train(feed, EverySteps(PER_EPOCH), go_on)
        states = []
        first.train(
            feed, EverySteps(1), lambda one: states.append(b"".join(dump_tree(one.state()))) or Answer()
        )
        for state in states[:-1]:
            # Dropout belongs to the run's seed, which a resume keeps; only initial values may be others.
            if "dropout" in options.get("model", {}):
                second, _ = make(3, **options)
                second.train(feed, EverySteps(2, end=2), go_on)
            else:
                second, _ = make(99, **options)
            second.load_state(load_tree(state))
            second.train(feed, EverySteps(PER_EPOCH), go_on)
            assert_equal_bits(second.state(), whole.state())

    def test_told_every_step_equals_told_every_epoch(self, make, variant):
        (often, feed), (seldom, _) = make(**VARIANTS[variant]), make(**VARIANTS[variant])
        often.train(feed, EverySteps(1), go_on)
        seldom.train(feed, EverySteps(PER_EPOCH), go_on)
        assert_equal_bits(often.state(), seldom.state())

    def test_told_every_step_equals_told_once_with_convolutions(self, make):
        options = {
            "model": {"architecture": "cnn", "hidden_dims": [4, 5], "normalization": "batch", "dropout": 0.2},
            "shape": (9,),
        }
        (often, feed), (seldom, _) = make(**options), make(**options)
        often.train(feed, EverySteps(1), go_on)
        seldom.train(feed, EverySteps(END), go_on)
        assert_equal_bits(often.state(), seldom.state())

    def test_every_option_changes_the_weights(self, make, variant):
        options = VARIANTS[variant]
        without = {"model": options["model"]} if set(options) > {"model"} and len(options) == 2 else {}
        (plain, feed), (other, other_feed) = make(**without), make(**options)
        plain.train(feed, EverySteps(END), go_on)
        other.train(other_feed, EverySteps(END), go_on)
        left, right = plain.weights(), other.weights()
        assert any(not np.array_equal(left[name], right[name]) for name in left.keys() & right.keys())

    def test_the_sums_of_an_epoch_weigh_each_record_once(self, make):
        learner, feed = make(optimizer=SGD(name="sgd", lr=1e-30))
        heard = []
        learner.train(feed, EverySteps(PER_EPOCH), lambda one: heard.append(one.sums["loss"]) or Answer())
        logits = learner.predict(feed.arrays["x"])["logits"].astype(np.float64)
        y = feed.arrays["y"]
        nll = np.log(np.exp(logits).sum(1)) - logits[np.arange(RECORDS), y]
        for total, weight in heard:
            assert weight == RECORDS
            assert total / weight == pytest.approx(nll.mean(), rel=1e-5)

    def test_record_weights_weigh_the_loss(self, make):
        learner, feed = make(optimizer=SGD(name="sgd", lr=1e-30), weights=True, task_type="regression")
        learner.train(feed, EverySteps(PER_EPOCH, end=PER_EPOCH), go_on)
        error = learner.predict(feed.arrays["x"])["y"].astype(np.float64) - feed.arrays["y"]
        weight = feed.arrays["weight"].astype(np.float64)
        total, mass = learner.sums["loss"]
        assert mass == pytest.approx(weight.sum(), rel=1e-6)
        assert total / mass == pytest.approx(
            (np.square(error).mean(1) * weight).sum() / weight.sum(), rel=1e-5
        )

    def test_the_first_step_is_plain_gradient_descent(self, make):
        learner, feed = make(
            optimizer=SGD(name="sgd", lr=0.5), task_type="regression", model={"hidden_dims": [1]}
        )
        before = {name: array.astype(np.float64) for name, array in learner.weights().items()}
        batch = feed.batch(0)
        learner.train(feed, EverySteps(1, end=1), go_on)

        def loss(weights):
            hidden = np.maximum(batch.x @ weights["dense_0.weight"].T + weights["dense_0.bias"], 0)
            return np.square(hidden @ weights["output.weight"].T + weights["output.bias"] - batch.y).mean()

        after = learner.weights()
        for name in before:
            slope = np.zeros_like(before[name])
            for place in np.ndindex(slope.shape):
                up, down = deepcopy(before), deepcopy(before)
                up[name][place] += 1e-6
                down[name][place] -= 1e-6
                slope[place] = (loss(up) - loss(down)) / 2e-6
            np.testing.assert_allclose(after[name], before[name] - 0.5 * slope, atol=1e-5, err_msg=name)

    def test_accumulated_batches_make_the_step_of_one_large_batch(self, make):
        (small, feed), (large, large_feed) = (
            make(accumulate=2, batch_size=2),
            make(accumulate=1, batch_size=4),
        )
        small.train(feed, EverySteps(END), go_on)
        large.train(large_feed, EverySteps(END), go_on)
        for name, array in large.weights().items():
            np.testing.assert_allclose(small.weights()[name], array, atol=1e-5)

    def test_the_ragged_end_of_an_epoch_is_a_real_smaller_step(self, make):
        learner, feed = make(accumulate=2, batch_size=2)
        heard = []
        learner.train(
            feed, EverySteps(1, end=PER_EPOCH), lambda one: heard.append(one.sums["loss"][1]) or Answer()
        )
        assert heard == [4, 8, 12, 16, 20, 22]

    def test_the_rate_scale_of_an_answer_is_obeyed_from_the_next_step_on(self, make):
        (scaled, feed), (slow, _) = (
            make(optimizer=SGD(name="sgd", lr=0.2)),
            make(optimizer=SGD(name="sgd", lr=0.1)),
        )
        start = slow.weights()
        scaled.train(feed, EverySteps(1, end=1), lambda one: Answer(rate_scale=0.5))
        scaled.load_weights(start)
        scaled.train(feed, EverySteps(1, end=4), lambda one: Answer(rate_scale=0.5))
        slow.train(feed, EverySteps(1, end=1), go_on)
        slow.load_weights(start)
        slow.train(feed, EverySteps(1, end=4), go_on)
        for name, array in slow.weights().items():
            np.testing.assert_allclose(scaled.weights()[name], array, rtol=1e-6, atol=1e-7)

    def test_a_rate_scale_of_zero_freezes_the_weights(self, make):
        learner, feed = make()
        learner.train(feed, EverySteps(1, end=2), lambda one: Answer(rate_scale=0.0))
        before = learner.weights()
        learner.train(feed, EverySteps(1, end=5), lambda one: Answer(rate_scale=0.0))
        assert_equal_bits(learner.weights(), before)

    def test_predicting_leaves_the_state_untouched(self, make):
        options = VARIANTS["all at once"]
        (asked, feed), (quiet, _) = make(**options), make(**options)
        asked.train(feed, EverySteps(1), lambda one: one.predict(feed.arrays["x"]) and Answer())
        quiet.train(feed, EverySteps(1), go_on)
        assert_equal_bits(asked.state(), quiet.state())

    def test_predictions_do_not_depend_on_the_rest_of_the_records(self, make):
        learner, feed = make(model={"normalization": "batch", "dropout": 0.5})
        learner.train(feed, EverySteps(END), go_on)
        x = feed.arrays["x"]
        whole = learner.predict(x)["logits"]
        np.testing.assert_allclose(learner.predict(x[:3])["logits"], whole[:3], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(learner.predict(x, batch_size=5)["logits"], whole, rtol=1e-5, atol=1e-6)
        assert learner.predict(x[:0])["logits"].shape == (0, 3)

    def test_the_state_is_a_copy_and_is_the_same_twice(self, make):
        learner, feed = make(**VARIANTS["all at once"])
        learner.train(feed, EverySteps(1, end=3), go_on)
        first = learner.state()
        assert_equal_bits(first, learner.state())
        kept = deepcopy(first)
        learner.train(feed, EverySteps(1, end=6), go_on)
        assert_equal_bits(first, kept)

    def test_weights_round_trip(self, make):
        (one, feed), (other, _) = make(3), make(4)
        one.train(feed, EverySteps(1, end=3), go_on)
        other.load_weights(one.weights())
        assert_equal_bits(other.weights(), one.weights())
        assert_equal_bits(other.predict(feed.arrays["x"]), one.predict(feed.arrays["x"]))

    def test_leaving_out_any_state_item_fails(self, make, variant):
        learner, feed = make(**VARIANTS[variant])
        learner.train(feed, EverySteps(1, end=4), go_on)
        kept = learner.state()
        paths = [path for path, _ in leaves(kept)]
        assert len(paths) >= 8
        for path in paths:
            broken = deepcopy(kept)
            node, key = _place(broken, path)
            del node[key]
            with pytest.raises(BackendError, match="the state"):
                make(9, **VARIANTS[variant])[0].load_state(broken)

    def test_forgetting_any_state_item_changes_the_end(self, make, variant):
        """An item that a fresh learner would have anyway is no item: each one must matter."""
        options = VARIANTS[variant]
        learner, feed = make(**options)
        learner.train(feed, EverySteps(1, end=4), lambda one: Answer(rate_scale=0.7))
        kept = learner.state()

        def go_from(state):
            other, _ = make(3, **options)
            other.load_state(state)
            heard = []
            other.train(feed, EverySteps(2, end=9), lambda one: heard.append(dict(one.sums)) or Answer())
            return other.state(), heard

        right, right_heard = go_from(kept)
        learner.train(feed, EverySteps(PER_EPOCH, end=9), go_on)
        assert_equal_bits(right, learner.state())
        ends = dict(leaves(right))
        fresh = dict(leaves(make(9, **options)[0].state()))
        for path, value in leaves(kept):
            if np.array_equal(value, fresh[path]):
                continue
            broken = deepcopy(kept)
            node, key = _place(broken, path)
            node[key] = fresh[path]
            wrong, wrong_heard = go_from(broken)
            differs = any(not np.array_equal(one, ends[place]) for place, one in leaves(wrong))
            assert differs or wrong_heard != right_heard, path

    def test_elements_of_the_gradient_are_clipped(self, make):
        lr, limit = 0.5, 0.02
        moves = []
        for clip in (None, limit):
            learner, feed = make(optimizer=SGD(name="sgd", lr=lr), clip_value=clip)
            before = learner.weights()
            learner.train(feed, EverySteps(1, end=1), go_on)
            moves.append({name: array - before[name] for name, array in learner.weights().items()})
        plain, clipped = moves
        assert max(np.abs(move).max() for move in plain.values()) > lr * limit
        for name, move in plain.items():
            np.testing.assert_allclose(clipped[name], np.clip(move, -lr * limit, lr * limit), atol=1e-6)

    def test_elements_are_clipped_before_the_norm(self, make):
        learner, feed = make(optimizer=SGD(name="sgd", lr=1.0), clip_value=0.01, clip_norm=0.005)
        before = learner.weights()
        learner.train(feed, EverySteps(1, end=1), go_on)
        move = np.concatenate([(learner.weights()[name] - before[name]).ravel() for name in before])
        assert np.linalg.norm(move) == pytest.approx(0.005, rel=1e-3)
        assert np.count_nonzero(np.isclose(np.abs(move), np.abs(move).max(), rtol=1e-3)) > 3

    def test_a_group_has_its_own_rate_and_weight_decay(self, make):
        groups = [Group(match="*.bias", lr_scale=0.25), Group(match="dense_?.*", weight_decay=0.3)]
        sgd = SGD(name="sgd", lr=0.5, weight_decay=0.1)
        (plain, feed), (grouped, _) = (
            make(optimizer=SGD(name="sgd", lr=0.5)),
            make(optimizer=sgd, groups=groups),
        )
        before = plain.weights()
        for learner in (plain, grouped):
            learner.train(feed, EverySteps(1, end=1), go_on)
        for name, array in grouped.weights().items():
            decay, scale = 0.1, 1.0
            if name.endswith(".bias"):
                scale = 0.25
            elif name.startswith("dense_"):
                decay = 0.3
            move = plain.weights()[name] - before[name]
            expected = before[name] + scale * (move - 0.5 * decay * before[name])
            np.testing.assert_allclose(array, expected, atol=1e-6, err_msg=name)

    def test_frozen_parameters_and_their_running_statistics_stay(self, make):
        groups = [Group(match="dense_0.*|norm_0.weight|norm_0.bias", frozen=True)]
        learner, feed = make(groups=groups, model={"normalization": "batch"})
        before = learner.weights()
        learner.train(feed, EverySteps(PER_EPOCH), go_on)
        for name, array in learner.weights().items():
            stays = name.startswith(("dense_0.", "norm_0."))
            assert np.array_equal(array, before[name]) == stays, name

    def test_a_frozen_norm_uses_its_running_statistics_in_training(self, make):
        options = {
            "groups": [Group(match="norm_*", frozen=True)],
            "model": {"normalization": "batch"},
            "optimizer": SGD(name="sgd", lr=1e-30),
            "task_type": "regression",
        }
        learner, feed = make(**options)
        learner.train(feed, EverySteps(PER_EPOCH, end=PER_EPOCH), go_on)
        error = learner.predict(feed.arrays["x"])["y"].astype(np.float64) - feed.arrays["y"]
        total, weight = learner.sums["loss"]
        assert total / weight == pytest.approx(np.square(error).mean(), rel=1e-5)

    def test_frozen_gradients_do_not_count_when_the_norm_is_clipped(self, make):
        learner, feed = make(
            optimizer=SGD(name="sgd", lr=1.0),
            clip_norm=0.005,
            groups=[Group(match="dense_*", frozen=True)],
        )
        before = learner.weights()
        learner.train(feed, EverySteps(1, end=1), go_on)
        move = np.concatenate([(learner.weights()[name] - before[name]).ravel() for name in before])
        assert np.linalg.norm(move) == pytest.approx(0.005, rel=1e-3)

    def test_a_group_that_matches_nothing_is_refused(self, make):
        with pytest.raises(
            SpecError, match=r"train\.groups\.0\.match: 'head\.\*' matches no parameter; .*dense_0"
        ):
            make(groups=[Group(match="head.*", frozen=True)])

    @pytest.mark.parametrize("warmup", [True, False])
    def test_averaged_weights_are_the_ones_that_are_served(self, make, warmup):
        options = {"model": {"normalization": "batch"}, "ema": Ema(decay=0.8, warmup=warmup)}
        (averaged, feed), (plain, _) = make(**options), make(model=options["model"])
        average, raw, learner = averaged.weights(), [], averaged
        averaged.train(feed, EverySteps(1), lambda one: raw.append(one.state()["weights"]) or Answer())
        plain.train(feed, EverySteps(PER_EPOCH), go_on)
        assert_equal_bits(raw[-1], plain.state()["weights"])  # the average does not touch the training
        for number, weights in enumerate(raw, 1):
            decay = min(0.8, (1 + number) / (10 + number)) if warmup else 0.8
            average = {name: decay * average[name] + (1 - decay) * weights[name] for name in weights}
        for name, array in learner.weights().items():
            expected = raw[-1][name] if "running" in name else average[name]
            np.testing.assert_allclose(array, expected, atol=1e-6, err_msg=name)
        # What is predicted, and so val/loss, is by the average.
        plain.load_weights(learner.weights())
        x = feed.arrays["x"]
        assert_equal_bits(learner.predict(x), plain.predict(x))
        plain.load_weights(raw[-1])
        assert not np.array_equal(learner.predict(x)["logits"], plain.predict(x)["logits"])

    def test_loaded_weights_are_the_average_too(self, make):
        (learner, feed), (other, _) = make(ema=Ema()), make(4)
        learner.train(feed, EverySteps(1, end=5), go_on)
        learner.load_weights(other.weights())
        assert_equal_bits(learner.weights(), other.weights())
        assert_equal_bits(learner.state()["weights"], other.weights())

    def test_the_same_seed_gives_the_same_weights_and_another_seed_others(self, make):
        (one, feed), (same, _), (other, _) = make(3), make(3), make(4)
        for learner in (one, same, other):
            learner.train(feed, EverySteps(END), go_on)
        assert_equal_bits(one.state(), same.state())
        assert not np.array_equal(one.weights()["output.weight"], other.weights()["output.weight"])

    def test_two_runs_in_one_process_do_not_touch(self, make):
        options = VARIANTS["all at once"]
        (alone, feed), (left, left_feed), (right, right_feed) = (
            make(**options),
            make(**options),
            make(8, **options),
        )
        alone.train(feed, EverySteps(END), go_on)

        def meanwhile(learner):
            if right.step < END:
                right.train(right_feed, EverySteps(1, end=right.step + 1), go_on)
            return Answer()

        left.train(left_feed, EverySteps(1), meanwhile)
        assert_equal_bits(left.state(), alone.state())

    def test_a_last_batch_of_one_record_can_be_normalised(self, make):
        options = {"model": {"normalization": "batch"}, "batch_size": RECORDS - 1}
        (often, feed), (seldom, _) = make(**options), make(**options)
        often.train(feed, EverySteps(1, end=4), go_on)
        seldom.train(feed, EverySteps(4, end=4), go_on)
        assert_equal_bits(often.state(), seldom.state())
        assert all(np.isfinite(array).all() for array in often.weights().values())

    @pytest.mark.parametrize("accumulate", [1, 2])
    def test_records_that_weigh_nothing_change_nothing(self, make, accumulate):
        learner, feed = make(weights=True, optimizer=SGD(name="sgd", lr=0.5), accumulate=accumulate)
        first = feed.indices(0)
        feed.arrays["weight"][first] = 0.0
        learner = self.make_backend().prepare(learner.task, feed, seed=3, run_on=self.run_on)
        before = learner.weights()
        learner.train(feed, EverySteps(1, end=1), go_on)
        assert_equal_bits(learner.weights(), before)
        learner.train(feed, EverySteps(1, end=2), go_on)
        assert not np.array_equal(learner.weights()["output.weight"], before["output.weight"])
        assert np.isfinite(learner.sums["loss"][0])

    @pytest.mark.parametrize("task_type", ["classification", "regression"])
    def test_it_learns(self, make, task_type):
        learner, feed = make(task_type=task_type, epochs=60, optimizer=AdamW(name="adamw", lr=0.02))
        losses = []

        def hear(one):
            total, weight = one.sums["loss"]
            losses.append(total / weight)
            return Answer()

        learner.train(feed, EverySteps(PER_EPOCH, end=60 * PER_EPOCH), hear)
        assert losses[-1] < 0.3 * losses[0]

    def test_a_task_of_another_backend_is_refused(self, make):
        learner, feed = make()
        train = learner.task.train.model_copy(update={"backend": "other"})
        with pytest.raises(BackendError, match=r"train\.backend"):
            self.make_backend().prepare(
                ModelTask(learner.task.blueprint, train, 1), feed, seed=0, run_on=self.run_on
            )

    def test_records_that_are_not_in_memory_train_to_the_same_weights(self, make):
        class Stream(ArrayFeed):
            arrays = None

            def __init__(self, feed):
                super().__init__(feed.arrays, batch_size=feed.batch_size, seed=feed.seed)
                self.arrays = None

        (resident, feed), (streamed, _) = make(), make()
        resident.train(feed, EverySteps(END), go_on)
        streamed.train(Stream(feed), EverySteps(PER_EPOCH), go_on)
        for name, array in resident.weights().items():
            np.testing.assert_allclose(streamed.weights()[name], array, rtol=1e-5, atol=1e-6)
