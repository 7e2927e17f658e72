"""Members of companies, on the backends that have some: bits, agreement with the lone loop, freezing, order."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from contracts.learner import (
    BATCH,
    PER_EPOCH,
    VARIANTS,
    EverySteps,
    LearnerContract,
    assert_equal_bits,
    go_on,
    make_arrays,
)
from trainwright.base.errors import BackendError
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.losses import Composite, CrossEntropy, Share
from trainwright.spec.model import ModelSpec
from trainwright.spec.optimizer import SGD, AdamW, Group
from trainwright.spec.schedule import Constant, Cosine
from trainwright.spec.train import TrainSpec
from trainwright.train.company import Meeting
from trainwright.train.feed import ArrayFeed
from trainwright.train.learner import Answer, Resolved, Seat

CLASSES = {"equinox": "EquinoxBackend", "torch": "TorchBackend"}
ALL_AT_ONCE = "all at once"


def backend_of(name):
    pytest.importorskip(name)
    return getattr(importlib.import_module(f"trainwright.backends.{name}.backend"), CLASSES[name])()


class MemberContract(LearnerContract):
    """A run by itself, with a twin; the program of a company is the same for more."""

    test_told_every_step_equals_told_once_with_convolutions = None  # they are refused

    def make_backend(self):
        return backend_of(self.backend)

    def learner(self, seed=3, **options):
        return super().learner(seed, vectorised=True, **options)

    def test_convolutions_are_refused(self, make):
        with pytest.raises(BackendError, match=r"train\.vectorised: many convolutions"):
            make(model={"architecture": "cnn", "hidden_dims": [4]}, shape=(9,))


@pytest.mark.slow  # everything is compiled; a member is a learner like a lone one
class TestEquinoxMember(MemberContract):
    backend = "equinox"
    lacks: ClassVar[dict[str, str]] = {
        "lbfgs": "equinox has no 'lbfgs'",
        "bfloat16": "equinox has no 'bfloat16'",
        "float16": "equinox has no 'float16'",
    }

    @pytest.fixture(params=[ALL_AT_ONCE])
    def variant(self, request):
        return request.param


class TestTorchMember(MemberContract):
    backend = "torch"
    lacks: ClassVar[dict[str, str]] = {
        "lbfgs": r"train\.vectorised: lbfgs chooses its steps",
        "lbfgs without line search": r"train\.vectorised: lbfgs chooses its steps",
        "bfloat16": r"train\.vectorised: .* not in bfloat16",
        "float16": r"train\.vectorised: .* not in float16",
    }

    @pytest.fixture(
        params=[pytest.param(one, marks=[] if one == ALL_AT_ONCE else pytest.mark.slow) for one in VARIANTS]
    )
    def variant(self, request):
        if request.param in self.lacks:
            pytest.skip(self.lacks[request.param])
        return request.param


def seat(seed=0, *, backend, arrays=None, model=None, epochs=3, batch=BATCH, vectorised=True, **train):
    arrays = arrays or make_arrays()
    shape = arrays["x"].shape[1:]
    options = {"architecture": "mlp", "hidden_dims": [8, 6], "output_dim": 3, **(model or {})}
    spec = {
        "backend": backend,
        "vectorised": vectorised,
        "batch_size": batch,
        "epochs": epochs,
        "optimizer": AdamW(name="adamw", lr=0.01),
        "loss": "cross_entropy",
        **train,
    }
    task = ModelTask(
        build_blueprint(ModelSpec(input_shape=list(shape), **options)), TrainSpec(**spec), epochs
    )
    return Seat(task, ArrayFeed(arrays, batch_size=batch, seed=seed), seed)


def meet(company, bodies):
    for end in Meeting(company, bodies).run():
        if end.error is not None:
            raise end.error


def together(seats, tells=None, clock=None):
    """Trains seats as one program; gives the company."""
    company = backend_of(seats[0].task.backend).company(seats, run_on=Resolved())
    tells, clock = tells or [go_on] * len(seats), clock or EverySteps(PER_EPOCH)

    def body(place):
        company.learners[place].train(seats[place].feed, clock, tells[place])

    meet(company, [lambda place=place: body(place) for place in range(len(seats))])
    return company


def alone(one, clock=None):
    train = one.task.train.model_copy(update={"vectorised": False})
    task = ModelTask(one.task.blueprint, train, one.task.epochs)
    learner = backend_of(train.backend).prepare(task, one.feed, seed=one.seed, run_on=Resolved())
    learner.train(one.feed, clock or EverySteps(PER_EPOCH), go_on)
    return learner


@pytest.fixture(params=CLASSES)
def backend(request):
    pytest.importorskip(request.param)
    return request.param


def tables(records, features):
    numbers = np.random.default_rng(1)
    x = numbers.normal(size=(records, features)).astype(np.float32)
    return {"x": x, "y": (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)}


def sum_of(**weights):
    return Composite(
        name="composite", losses=[Share(loss=name, weight=weight) for name, weight in weights.items()]
    )


# Every number in which members may differ, beside the usual activations; sizes as they are used, and awkward ones.
KINDS = {
    "small": lambda n: {
        "model": {"dropout": 0.1 + 0.05 * (n % 4), "normalization": "batch", "activation": "gelu"},
        "optimizer": AdamW(name="adamw", lr=0.003 * (n + 1), weight_decay=0.01 * (n % 3)),
        "loss": CrossEntropy(name="cross_entropy", label_smoothing=0.05 * (1 + n % 3)),
        "schedule": Cosine(name="cosine") if n % 2 else Constant(name="constant"),
    },
    "a sum of losses": lambda n: {
        "arrays": {"x": tables(60, 5)["x"], "y": tables(60, 5)["x"][:, :2] ** 2},
        "batch": 16,
        "model": {"hidden_dims": [16], "output_dim": 2},
        "loss": sum_of(mse=1.0 + n % 3, huber=0.25 * (1 + n % 2)),
        "optimizer": SGD(name="sgd", lr=0.01 * (n + 1)),
    },
    "64 wide": lambda n: {
        "arrays": tables(203, 32),
        "batch": 32,
        "model": {"hidden_dims": [64, 64]},
        "optimizer": AdamW(name="adamw", lr=1e-3 * (n + 1), weight_decay=0.01 * (n % 3)),
    },
    "one odd output": lambda n: {
        "arrays": {"x": tables(100, 7)["x"], "y": tables(100, 7)["x"][:, :1] ** 2},
        "batch": 16,
        "model": {"hidden_dims": [13], "output_dim": 1, "activation": "silu"},
        "loss": "mse",
        "clip_norm": 0.3,
        "optimizer": SGD(name="sgd", lr=0.01 * (n + 1), momentum=0.9),
    },
    "attention": lambda n: {
        "arrays": tables(40, 12),
        "batch": 16,
        "model": {"architecture": "transformer", "input": "sequence", "hidden_dims": [8], "stem": "patch"},
        "optimizer": AdamW(name="adamw", lr=1e-3 * (n + 1)),
    },
}
SLOW = {("equinox", "attention"), ("equinox", "64 wide"), ("equinox", "one odd output")}
COMPANIES = [[3, 3], [3, 0], [0, 3], [5, 1, 3], [3, 5, 1], [*range(15, -1, -1)]]


def make(backend, kind, number):
    return seat(number, backend=backend, **KINDS[kind](number))


def assert_the_same_in(companies, make_one, clock):
    states = []
    for company in companies:
        learners = together([make_one(n) for n in company], clock=clock).learners
        states.append(learners[company.index(3)].state())
        start = make_one(company[0]).task.blueprint.initial(company[0])["output.weight"]
        assert not np.array_equal(learners[0].weights()["output.weight"], start)
    for state in states[1:]:
        assert_equal_bits(state, states[0])


@pytest.mark.parametrize(
    ("backend", "kind"),
    [
        pytest.param(backend, kind, marks=pytest.mark.slow if (backend, kind) in SLOW else [])
        for backend in CLASSES
        for kind in KINDS
    ],
)
def test_a_member_has_the_same_bits_in_any_company_of_two_or_more(backend, kind):
    companies = COMPANIES if (backend, kind) != ("equinox", "attention") else COMPANIES[::5]
    if backend == "torch":
        companies = [*companies, [*range(63, -1, -1)]]  # a sweep of 64, for which nothing has to be compiled
    assert_the_same_in(companies, lambda n: make(backend, kind, n), EverySteps(5, end=8))


def test_records_of_its_own_change_no_bit(backend):
    other = {**tables(203, 32), "y": tables(203, 32)["y"][::-1].copy()}
    clock = EverySteps(5, end=8)
    folds = [
        make(backend, "64 wide", 3),
        seat(1, backend=backend, arrays=other, batch=32, model={"hidden_dims": [64, 64]}),
    ]
    mine, theirs = together(folds, clock=clock).learners
    shared = together([make(backend, "64 wide", n) for n in (3, 0)], clock=clock).learners
    assert_equal_bits(mine.state(), shared[0].state())
    twins = together([folds[1], folds[1]], clock=clock).learners
    assert_equal_bits(theirs.state(), twins[0].state())


def test_a_member_agrees_with_the_lone_loop_for_a_hundred_steps(backend):
    clock = EverySteps(PER_EPOCH, end=100)
    found = together([make(backend, "64 wide", n) for n in range(3)], clock=clock).learners
    for number, learner in enumerate(found):
        lone = alone(make(backend, "64 wide", number), clock)
        for name, array in lone.weights().items():
            np.testing.assert_allclose(learner.weights()[name], array, atol=1e-5, err_msg=name)
        assert learner.sums["loss"][0] == pytest.approx(lone.sums["loss"][0], rel=1e-5)


IN_FLOAT64 = """
import sys
sys.path.insert(0, {tests!r})
import jax
jax.config.update("jax_enable_x64", True)
from backends.test_company import assert_agrees_in_float64
assert_agrees_in_float64("equinox")
"""


def widen(tree):
    if isinstance(tree, dict):
        return {key: widen(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [widen(item) for item in tree]
    return tree.astype(np.float64) if isinstance(tree, np.ndarray) and tree.dtype == np.float32 else tree


def assert_agrees_in_float64(backend):
    seats = [make(backend, "small", n) for n in range(3)]
    clock = EverySteps(7, end=seats[0].feed.steps_per_epoch * 3)
    for one in seats:
        one.feed.arrays.update(widen(dict(one.feed.arrays)))
    company = backend_of(backend).company(seats, run_on=Resolved())
    for one, member in zip(seats, company.learners, strict=True):
        train = one.task.train.model_copy(update={"vectorised": False})
        task = ModelTask(one.task.blueprint, train, one.task.epochs)
        lone = backend_of(backend).prepare(task, one.feed, seed=one.seed, run_on=Resolved())
        for learner in (lone, member):
            learner.load_state(widen(learner.state()))
            learner.train(one.feed, clock, go_on)
        ours, theirs = member.weights(), lone.weights()
        assert ours["output.weight"].dtype == np.float64
        for name in theirs:
            difference = np.abs(ours[name] - theirs[name]).max()
            assert difference <= 1e-8, (one.seed, name, difference)


@pytest.mark.parametrize("backend", ["torch", pytest.param("equinox", marks=pytest.mark.slow)])
def test_a_member_agrees_with_the_lone_loop_over_a_whole_run_in_float64(backend, monkeypatch):
    if backend == "equinox":
        code = IN_FLOAT64.format(tests=str(Path(__file__).parents[1]))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        return
    monkeypatch.setattr("trainwright.backends.torch.network.NUMBER", np.float64)
    assert_agrees_in_float64(backend)


def count_calls(backend, monkeypatch):
    """Notes each call of a network, which in a compiled program is one that is traced."""
    network = importlib.import_module(f"trainwright.backends.{backend}.network").Network
    calls, forward = [], network.__call__

    def count(self, *args, **kwargs):
        calls.append(kwargs)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(network, "__call__", count)
    return calls


def test_a_member_that_stops_is_frozen_and_the_others_go_on_without_a_new_program(backend, monkeypatch):
    calls = count_calls(backend, monkeypatch)
    # Five whole batches, so that there is one shape of a step; an optimizer with moments, which must freeze too.
    arrays = {name: array[:20] for name, array in make_arrays().items()}
    stops = {0: 3, 4: 7, 9: 11}
    kept = {}

    def tell(place):
        def hear(one):
            kept[place] = one.state()
            return Answer(stop="enough" if one.step == stops.get(place) else None)

        return hear

    def seats():
        return [
            seat(
                n % 2,
                backend=backend,
                arrays=arrays,
                model={"hidden_dims": [9]},
                optimizer=AdamW(name="adamw", lr=1e-3 * (n + 1)),
            )
            for n in range(16)
        ]

    company = together(seats(), [tell(n) for n in range(16)], EverySteps(1, end=15))
    if backend == "equinox":
        assert len(calls) == 1, "one forward pass is traced for sixteen members"
        assert company._programs.stretch._cache_size() == 1
    else:
        assert len(calls) == 15, "one forward pass is made in a step of sixteen members"
    undisturbed = together(seats(), clock=EverySteps(5, end=15))
    if backend == "equinox":
        assert company._programs.stretch._cache_size() == 1, "another company of the size is the same program"
    for place, learner in enumerate(company.learners):
        assert learner.step == stops.get(place, 15)
        assert_equal_bits(learner.state(), kept[place])
        if place not in stops:
            assert_equal_bits(learner.state(), undisturbed.learners[place].state())
        else:
            stopped = together([seats()[place]] * 2, clock=EverySteps(4, end=stops[place])).learners[0]
            assert_equal_bits(learner.weights(), stopped.weights())


def test_each_member_obeys_its_own_answers(backend):
    halves = [lambda one: Answer(rate_scale=0.5), go_on, lambda one: Answer(rate_scale=0.25)]
    seats = [seat(1, backend=backend, optimizer=SGD(name="sgd", lr=0.1)) for _ in range(3)]
    first, second, third = together(seats, halves, EverySteps(2, end=8)).learners
    alone_scaled = together(seats[:2], [halves[0], halves[2]], EverySteps(2, end=8)).learners
    assert_equal_bits(first.weights(), alone_scaled[0].weights())
    assert_equal_bits(third.weights(), alone_scaled[1].weights())
    weights = [one.weights()["output.weight"] for one in (first, second, third)]
    assert not np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])


def test_members_are_told_at_their_own_clocks_and_end_at_their_own_ends(backend):
    seats = [seat(n, backend=backend, epochs=epochs) for n, epochs in enumerate((1, 2, 3))]
    company = backend_of(backend).company(seats, run_on=Resolved())
    heard = [[], [], []]
    clocks = [EverySteps(2, end=6), EverySteps(3, end=12), EverySteps(5, end=18)]

    def body(place):
        company.learners[place].train(
            seats[place].feed, clocks[place], lambda one: heard[place].append(one.step) or Answer()
        )

    meet(company, [lambda p=p: body(p) for p in range(3)])
    assert heard == [[2, 4, 6], [3, 6, 9, 12], [5, 10, 15, 18]]
    whole = together(seats, clock=EverySteps(6, end=6))
    assert_equal_bits(company.learners[0].weights(), whole.learners[0].weights())


def test_members_that_were_cut_at_different_steps_catch_up(backend):
    seats = [make(backend, "small", n) for n in range(3)]
    whole = together(seats, clock=EverySteps(6, end=14)).learners
    states = [
        together([seats[n]] * 2, clock=EverySteps(4, end=end)).learners[0].state()
        for n, end in enumerate((5, 9))
    ]
    company = backend_of(backend).company(seats, run_on=Resolved())
    for learner, state in zip(company.learners, states, strict=False):
        learner.load_state(state)

    def body(place):
        company.learners[place].train(seats[place].feed, EverySteps(6, end=14), go_on)

    meet(company, [lambda p=p: body(p) for p in range(3)])
    for one, other in zip(company.learners, whole, strict=True):
        assert_equal_bits(one.state(), other.state())


@pytest.mark.parametrize(
    "other",
    [
        {"batch": 2},
        {"optimizer": AdamW(name="adamw", beta1=0.8)},
        {"optimizer": SGD(name="sgd")},
        {"clip_norm": 1.0},
        {"model": {"hidden_dims": [8, 7]}},
        {"model": {"dropout": 0.1}},
        {"loss": CrossEntropy(name="cross_entropy", label_smoothing=0.1)},
        {"loss": sum_of(cross_entropy=1.0)},
        {"loss": sum_of(cross_entropy=1.0, focal=1.0)},
        {"groups": [Group(match="*.bias", lr_scale=0.5)]},
        {"arrays": {name: array[:20] for name, array in make_arrays().items()}},
        {"arrays": make_arrays(weights=True)},
    ],
    ids=str,
)
def test_trainings_that_are_not_alike_are_no_company(backend, other):
    seats = [seat(backend=backend), seat(backend=backend, **other)]
    with pytest.raises(BackendError, match=f"{backend}: 2 trainings of 2 kinds are no company"):
        backend_of(backend).company(seats, run_on=Resolved())


def test_one_training_is_no_company(backend):
    with pytest.raises(BackendError, match="1 trainings of 1 kinds"):
        backend_of(backend).company([seat(backend=backend)], run_on=Resolved())


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": AdamW(name="adamw", lr=0.01, weight_decay=0.3)},
        {"optimizer": AdamW(name="adamw", lr=0.011)},
        {"groups": [Group(match="*.bias", weight_decay=0.3)]},
        {"model": {"dropout": 0.5}},
        {"loss": CrossEntropy(name="cross_entropy", label_smoothing=0.3)},
        {"schedule": Cosine(name="cosine")},
        {"seed": 1},
    ],
    ids=str,
)
def test_members_differ_by_what_they_may_differ_in(backend, change):
    same = {"model": {"dropout": 0.2}, "loss": CrossEntropy(name="cross_entropy", label_smoothing=0.1)}
    check_difference(backend, same, change)


def test_members_differ_by_the_weights_of_their_losses(backend):
    smoothed = CrossEntropy(name="cross_entropy", label_smoothing=0.1)
    more = smoothed.model_copy(update={"label_smoothing": 0.4})
    for one, other in ((1.0, 3.0), (2.0, 0.5)):
        parts = (Share(loss="focal", weight=one), Share(loss=smoothed, weight=other))
        same = {"loss": Composite(name="composite", losses=list(parts))}
        for wanted in (
            [parts[0], Share(loss=more, weight=other)],
            [Share(loss="focal", weight=other), Share(loss=smoothed, weight=one)],
        ):
            check_difference(backend, same, {"loss": Composite(name="composite", losses=wanted)})


def check_difference(backend, same, change):
    seats = [seat(**{"seed": 0, "backend": backend, **same, **one}) for one in ({}, change)]
    first, second = together(seats, clock=EverySteps(4, end=8)).learners
    assert not np.array_equal(first.weights()["output.weight"], second.weights()["output.weight"])
    lone = alone(seats[1], EverySteps(4, end=8))
    for name, array in lone.weights().items():
        np.testing.assert_allclose(second.weights()[name], array, atol=1e-5, err_msg=name)
