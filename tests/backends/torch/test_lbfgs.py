import numpy as np
import pytest

torch = pytest.importorskip("torch")

from trainwright.backends.torch.lbfgs import LBFGS
from trainwright.spec import optimizer as spec


def rosenbrock(x, shift=0.0):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1] + shift) ** 2).sum()


def wavy(x, shift=0.0):
    return (torch.sin(3 * x + shift) + 0.3 * x**2).sum() + 0.2 * x[0] * x[1]


def minimise(function, start, *, steps, shifts, lr, **options):
    """Makes steps by ours, each on a slightly different function, as batches are; gives the place after each."""
    tensors = {
        "a": start[:2].clone().requires_grad_(),
        "b": start[2:].clone().reshape(1, -1).requires_grad_(),
    }
    optimizer = LBFGS(spec.LBFGS(name="lbfgs", **options), tensors)
    places = []
    for step in range(steps):

        def evaluate(step=step):
            loss = function(torch.cat([tensors["a"], tensors["b"][0]]), shifts * step)
            return loss.detach(), torch.autograd.grad(loss, list(tensors.values()))

        optimizer.step(evaluate, *evaluate(), lr=lr)
        places.append(torch.cat([tensors["a"], tensors["b"][0]]).detach().numpy().copy())
    return places


def minimise_by_torch(function, start, *, steps, shifts, lr, line_search, **options):
    x = start.clone().requires_grad_()
    search = None if line_search == "none" else line_search
    optimizer = torch.optim.LBFGS([x], lr=lr, line_search_fn=search, **options)
    places = []
    for step in range(steps):

        def closure(step=step):
            optimizer.zero_grad()
            loss = function(x, shifts * step)
            loss.backward()
            return loss

        optimizer.step(closure)
        places.append(x.detach().numpy().copy())
    return places


@pytest.mark.parametrize("function", [rosenbrock, wavy])
@pytest.mark.parametrize("shifts", [0.0, 0.05], ids=["one function", "a new one each step"])
@pytest.mark.parametrize(
    "options",
    [
        {"line_search": "strong_wolfe", "max_iter": 5, "history_size": 4, "lr": 1.0},
        {"line_search": "strong_wolfe", "max_iter": 20, "history_size": 100, "lr": 0.3},
        {"line_search": "strong_wolfe", "max_iter": 1, "history_size": 2, "lr": 1.0},
        {"line_search": "none", "max_iter": 4, "history_size": 3, "lr": 0.05},
        {"line_search": "none", "max_iter": 1, "history_size": 10, "lr": 0.05},
    ],
    ids=lambda one: "-".join(map(str, one.values())),
)
def test_its_steps_are_those_of_torch_optim(function, shifts, options):
    start = torch.tensor([-1.2, 1.0, 0.3, -0.5, 0.8], dtype=torch.float64)
    ours = minimise(function, start, steps=3, shifts=shifts, **options)
    theirs = minimise_by_torch(function, start, steps=3, shifts=shifts, **options)
    assert not np.allclose(theirs[0], start)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("lr", [0.2, 1.0, 5.0])
def test_its_line_search_is_that_of_torch_optim_from_anywhere(seed, lr):
    start = torch.from_numpy(np.random.default_rng(seed).normal(scale=2.0, size=4))
    options = {
        "steps": 2,
        "shifts": 0.3,
        "lr": lr,
        "max_iter": 6,
        "history_size": 5,
        "line_search": "strong_wolfe",
    }
    for function in (rosenbrock, wavy):
        ours, theirs = (minimise_(function, start, **options) for minimise_ in (minimise, minimise_by_torch))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_an_iteration_that_did_not_move_says_nothing_of_the_curvature():
    """torch.optim keeps the move that it did not make, and the next step goes astray."""
    start = torch.tensor([-1.2, 1.0, 0.3, -0.5, 0.8], dtype=torch.float64)
    options = {"steps": 6, "shifts": 0.05, "lr": 1.0, "max_iter": 5, "history_size": 4}
    ours = minimise(wavy, start, line_search="strong_wolfe", **options)
    theirs = minimise_by_torch(wavy, start, line_search="strong_wolfe", **options)
    for step, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        slope = 3 * np.cos(3 * mine + 0.05 * step) + 0.6 * mine
        slope[:2] += 0.2 * mine[1::-1]
        assert step == 0 or np.abs(slope).max() < 2e-3
        assert wavy(torch.from_numpy(mine), 0.05 * step) <= wavy(torch.from_numpy(other), 0.05 * step) + 1e-9


def test_it_finds_the_minimum_of_rosenbrock():
    start = torch.tensor([-1.2, 1.0, 1.0], dtype=torch.float64)
    (*_, last) = minimise(rosenbrock, start, steps=10, shifts=0.0, lr=1.0)
    np.testing.assert_allclose(last, 1.0, atol=1e-5)


def test_a_rate_of_zero_moves_nothing():
    start = torch.tensor([-1.2, 1.0, 0.3], dtype=torch.float64)
    (place,) = minimise(rosenbrock, start, steps=1, shifts=0.0, lr=0.0)
    np.testing.assert_array_equal(place, start)


def test_a_loss_that_is_no_number_ends_the_search():
    start = torch.tensor([float("nan"), 1.0, 0.3], dtype=torch.float64)
    (place,) = minimise(rosenbrock, start, steps=1, shifts=0.0, lr=1.0)
    assert np.isnan(place).any()
