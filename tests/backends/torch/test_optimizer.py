import pytest

torch = pytest.importorskip("torch")

from trainwright.backends.torch.optimizer import Optimizer, clip_by_norm, clip_by_value
from trainwright.spec.optimizer import SGD, Adagrad, Adam, AdamW, RMSprop
from trainwright.train.groups import ParameterOptions

PAIRS = {
    "sgd": (SGD(name="sgd", momentum=0.9), torch.optim.SGD, {"momentum": 0.9}),
    "adam": (Adam(name="adam"), torch.optim.Adam, {}),
    "adamw": (AdamW(name="adamw"), torch.optim.AdamW, {}),
    "rmsprop": (RMSprop(name="rmsprop", momentum=0.5), torch.optim.RMSprop, {"momentum": 0.5}),
    "adagrad": (Adagrad(name="adagrad"), torch.optim.Adagrad, {}),
}


@pytest.mark.parametrize("rule", PAIRS)
def test_groups_are_those_of_torch_optim(rule):
    spec, theirs, options = PAIRS[rule]
    ours = {
        name: torch.linspace(-1, 1, 6).reshape(shape) for name, shape in (("a", 6), ("b", (2, 3)), ("c", 6))
    }
    copies = {name: tensor.clone().requires_grad_() for name, tensor in ours.items()}
    settled = {
        "a": ParameterOptions(0.1, 0.5),
        "b": ParameterOptions(0.0, 2.0),
        "c": ParameterOptions(0.1, 0.5),
    }
    groups = [
        {"params": [copies["a"], copies["c"]], "weight_decay": 0.1, "lr": 0.05},
        {"params": [copies["b"]], "weight_decay": 0.0, "lr": 0.2},
    ]
    optimizer, reference = Optimizer(spec, ours, options=settled), theirs(groups, **options)
    for number in range(1, 6):
        gradients = [
            torch.cos(number * torch.arange(6.0) + k).reshape(t.shape) for k, t in enumerate(ours.values())
        ]
        for copy, gradient in zip(copies.values(), gradients, strict=True):
            copy.grad = gradient.clone()
        reference.step()
        optimizer.step(gradients, lr=0.1, number=number)
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, copies[name].detach(), rtol=1e-5, atol=1e-6)


def test_a_centered_variance_that_rounds_below_zero_makes_no_nan():
    weight = torch.zeros(1000)
    optimizer = Optimizer(RMSprop(name="rmsprop", centered=True, alpha=0.5), {"w": weight})
    gradient = torch.linspace(0.1, 0.9, 1000)
    for number in range(1, 60):  # a constant gradient has no variance
        optimizer.step([gradient], lr=1e-12, number=number)
    assert weight.isfinite().all()


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_value])
def test_one_gradient_of_two_parameters_is_clipped_once(clip):
    left, right = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    shared = torch.autograd.grad((100 * (left + right)).sum(), [left, right])
    apart = [one.clone() for one in shared]
    for mine, other in zip(clip(shared, 0.5), clip(apart, 0.5), strict=True):
        torch.testing.assert_close(mine, other)


def test_values_are_clipped_as_torch_clips_them():
    ours = [torch.tensor([-3.0, 0.2, float("inf"), -0.4]), torch.tensor([[5.0]])]
    theirs = [torch.nn.Parameter(torch.zeros_like(one)) for one in ours]
    for parameter, gradient in zip(theirs, ours, strict=True):
        parameter.grad = gradient.clone()
    torch.nn.utils.clip_grad_value_(theirs, 0.3)
    for mine, parameter in zip(clip_by_value(ours, 0.3), theirs, strict=True):
        torch.testing.assert_close(mine, parameter.grad)
    assert clip_by_value([torch.tensor([float("nan")])], 0.3)[0].isnan().all()
