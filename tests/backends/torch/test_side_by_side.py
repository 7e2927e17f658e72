"""Networks and losses of several members at once: those of one member, with the same bits whoever else is there."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backends.making import make_blueprint, make_weights
from models.shapes import MODELS, make_records
from trainwright.backends.torch import loss as torch_loss
from trainwright.backends.torch.company import dropouts, mean_losses
from trainwright.backends.torch.device import working
from trainwright.backends.torch.layers import ACTIVATIONS
from trainwright.backends.torch.network import Network
from trainwright.backends.torch.side_by_side import SideBySide
from trainwright.base.errors import BackendError
from trainwright.models.blueprint import Blueprint, Layer, Parameter
from trainwright.models.objective import Objective
from trainwright.train.learner import Resolved

TOGETHER = {
    name: model
    for name, model in MODELS.items()
    if model["architecture"] in ("mlp", "transformer") and not make_blueprint(model).has_convolutions
}
DROPPING = {"hidden_dims": [8, 5], "dropout": 0.4, "normalization": "batch"}
TOGETHER["mlp with dropout"] = {"architecture": "mlp", "input_shape": [5], "output_dim": 2, **DROPPING}


@pytest.fixture(autouse=True)
def one_thread():
    with working(Resolved()):
        yield


def put_together(blueprint, each, *, seeds):
    """Gives networks side by side over weights of each member."""
    tensors = {}
    for name, parameter in blueprint.parameters.items():
        stack = torch.stack([torch.from_numpy(weights[name]) for weights in each])
        tensors[name] = stack.requires_grad_(parameter.trained)
    rates = [dropouts(blueprint)] * len(each)
    return SideBySide(blueprint, tensors, seeds=seeds, rates=rates, still=frozenset())


def pass_through(network, x, *, position=(3, 0)):
    """Gives outputs and gradients of a forward and a backward pass in training, and what running values became."""
    network.position = position
    outputs = network(x, training=True)
    gradients = torch.autograd.grad(
        (outputs * torch.arange(outputs.numel() / len(x)).sin()).sum(), network.trained
    )
    running = [tensor for tensor in network.tensors.values() if not tensor.requires_grad]
    return [outputs.detach(), *gradients, *running]


@pytest.mark.parametrize("name", TOGETHER)
def test_networks_side_by_side_are_the_lone_ones(name):
    blueprint = make_blueprint(TOGETHER[name])
    each = [make_weights(blueprint, seed) for seed in (1, 2, 3)]
    records = [torch.from_numpy(make_records(TOGETHER[name], seed=seed)) for seed in (4, 5, 6)]
    seeds = [7, 8, 7]
    for position in ((3, 0), (4, 2)):
        found = pass_through(
            put_together(blueprint, each, seeds=seeds), torch.cat(records), position=position
        )
        outputs, *rest = found
        outputs = outputs.unflatten(0, (3, -1))
        for place, (weights, seed, x) in enumerate(zip(each, seeds, records, strict=True)):
            lone = pass_through(Network(blueprint, weights, seed=seed), x, position=position)
            for ours, theirs in zip([outputs, *rest], lone, strict=True):
                torch.testing.assert_close(ours[place], theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_what_a_function_gives_a_member_does_not_depend_on_the_others(function):
    """Sizes at which some elements are left over behind whole vectors; without filling up, four functions fail."""
    for records, width in [(7, 1), (4, 3), (16, 13), (1, 5)]:
        blueprint = Blueprint(
            (2,),
            (width,),
            (Layer("dense", "first"), Layer("activation", "act", {"function": function})),
            {"first.weight": Parameter((width, 2), bound=1.0), "first.bias": Parameter((width,), bound=1.0)},
        )
        weights = [blueprint.initial(seed) for seed in range(5)]
        numbers = np.random.default_rng(0)
        x = [torch.from_numpy(numbers.normal(size=(records, 2)).astype(np.float32)) for _ in range(5)]
        found = {}
        for company in ([0, 1], [1, 0], [2, 0, 1], [4, 3, 2, 1, 0]):
            network = put_together(blueprint, [weights[n] for n in company], seeds=company)
            outputs, *gradients = pass_through(network, torch.cat([x[n] for n in company]))
            place = company.index(0)
            found[tuple(company)] = [
                outputs.unflatten(0, (len(company), -1))[place],
                *(g[place] for g in gradients),
            ]
        first = next(iter(found.values()))
        for company, tensors in found.items():
            for one, other in zip(tensors, first, strict=True):
                assert torch.equal(one, other), (company, records, width)


def losses():
    pytest.importorskip("equinox")
    from backends import test_losses

    return test_losses


@pytest.mark.parametrize("weighted", [False, True])
def test_the_losses_of_members_are_those_of_each(weighted):
    cases = losses()
    for name, (loss, _, y, _) in cases.CASES.items():
        task = cases.task_of(loss)
        if "own" in str(loss):
            continue  # refused
        objective = Objective(task, torch_loss, library="torch")
        outputs = torch.from_numpy(np.stack([cases.OUTPUTS[name] * (1 + 0.1 * n) for n in range(5)]))
        x, y = torch.from_numpy(cases.X), torch.from_numpy(np.array(y))
        weight = torch.from_numpy(cases.WEIGHT) if weighted else None
        found = {}
        for company in ([0, 1], [1, 0], [2, 0, 1], [4, 3, 2, 1, 0]):
            mine = outputs[company].flatten(0, 1).requires_grad_()
            many = [None if one is None else torch.cat([one] * len(company)) for one in (x, y, weight)]
            values = mean_losses([task] * len(company))(mine, *many)
            (gradient,) = torch.autograd.grad(values.sum(), mine)
            each = gradient.unflatten(0, (len(company), -1))
            for place, member in enumerate(company):
                lone = outputs[member].clone().requires_grad_()
                value = objective(lone, x, y, weight)
                value.backward()
                torch.testing.assert_close(values[place], value.detach(), rtol=2e-6, atol=1e-6, msg=name)
                torch.testing.assert_close(each[place], lone.grad, rtol=1e-5, atol=1e-6, msg=name)
                value, same = found.setdefault(member, (values[place].detach(), each[place]))
                assert torch.equal(values[place].detach(), value) and torch.equal(each[place], same), (
                    name,
                    company,
                )


def test_each_member_has_its_own_label_smoothing():
    cases = losses()
    amounts = [0.1, 0.3]
    tasks = [cases.task_of({"name": "cross_entropy", "label_smoothing": amount}) for amount in amounts]
    outputs = torch.from_numpy(cases.OUTPUTS["cross_entropy"])
    y = torch.from_numpy(cases.CLASSES)
    found = mean_losses(tasks)(torch.cat([outputs] * 2), torch.cat([outputs] * 2), torch.cat([y] * 2), None)
    for value, task in zip(found, tasks, strict=True):
        torch.testing.assert_close(
            value, Objective(task, torch_loss, library="torch")(outputs, outputs, y, None)
        )


@pytest.mark.parametrize("names", [("mse", "mae"), ("triplet", "supervised_contrastive")])
def test_each_member_weighs_its_losses_in_its_own_way(names):
    cases = losses()
    weights = [(1.0, 1.0), (0.25, 3.0), (2.0, 0.5)]
    tasks = [
        cases.task_of(
            {
                "name": "composite",
                "losses": [{"loss": name, "weight": w} for name, w in zip(names, one, strict=True)],
            }
        )
        for one in weights
    ]
    outputs = torch.from_numpy(
        np.random.default_rng(2).normal(size=(len(cases.CLASSES), 3)).astype(np.float32)
    )
    y = torch.from_numpy(cases.CLASSES) if "triplet" in names else outputs**2 - 1
    found = mean_losses(tasks)(torch.cat([outputs] * 3), torch.cat([outputs] * 3), torch.cat([y] * 3), None)
    assert len({float(one) for one in found}) == 3
    for value, task in zip(found, tasks, strict=True):
        torch.testing.assert_close(
            value, Objective(task, torch_loss, library="torch")(outputs, outputs, y, None)
        )


def test_a_layer_with_parameters_that_has_no_members_is_refused():
    blueprint = make_blueprint(MODELS["gcn of graphs"])
    with pytest.raises(BackendError, match="gcn has no members side by side"):
        put_together(blueprint, [blueprint.initial(0)] * 2, seeds=[0, 0])
