import numpy as np
import pytest

torch = pytest.importorskip("torch")

from contracts.learner import VARIANTS, EverySteps, LearnerContract, go_on
from trainwright.backends.torch.backend import TorchBackend
from trainwright.models.assemble import build_blueprint
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import SGD, Adam, AdamW


class TestTorch(LearnerContract):
    backend = "torch"

    def make_backend(self):
        return TorchBackend()

    @pytest.mark.parametrize(
        ("spec", "theirs"),
        [
            (SGD(name="sgd", lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
            (
                SGD(name="sgd", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.02),
                lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.02),
            ),
            (
                Adam(name="adam", lr=0.01, weight_decay=0.1),
                lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
            ),
            (
                AdamW(name="adamw", lr=0.01, beta2=0.99),
                lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.99)),
            ),
        ],
    )
    def test_the_update_rules_are_those_of_torch_optim(self, make, spec, theirs):
        learner, feed = make(optimizer=spec)
        start = learner.weights()
        hidden = [
            torch.nn.Linear(3, 8),
            torch.nn.ReLU(),
            torch.nn.Linear(8, 6),
            torch.nn.ReLU(),
            torch.nn.Linear(6, 3),
        ]
        net = torch.nn.Sequential(*hidden)
        names = ["dense_0", "dense_1", "output"]
        with torch.no_grad():
            for name, layer in zip(names, hidden[::2], strict=True):
                layer.weight.copy_(torch.from_numpy(start[f"{name}.weight"]))
                layer.bias.copy_(torch.from_numpy(start[f"{name}.bias"]))
        optimizer = theirs(net.parameters())
        for step in range(10):
            batch = feed.batch(step)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(
                net(torch.from_numpy(batch.x)), torch.from_numpy(batch.y)
            ).backward()
            optimizer.step()
        learner.train(feed, EverySteps(10, end=10), go_on)
        for name, layer in zip(names, hidden[::2], strict=True):
            np.testing.assert_allclose(learner.weights()[f"{name}.weight"], layer.weight.detach(), atol=2e-6)

    def test_clipping_is_that_of_torch(self, make):
        from trainwright.backends.torch.optimizer import clip_by_norm

        for limit in (0.1, 100.0):
            ours = [torch.arange(4.0), torch.ones(2, 2)]
            theirs = [torch.nn.Parameter(torch.zeros_like(t)) for t in ours]
            for parameter, gradient in zip(theirs, ours, strict=True):
                parameter.grad = gradient.clone()
            torch.nn.utils.clip_grad_norm_(theirs, limit)
            for mine, parameter in zip(clip_by_norm(ours, limit), theirs, strict=True):
                torch.testing.assert_close(mine, parameter.grad, rtol=1e-4, atol=1e-6)

    def test_torch_s_own_generator_is_never_used(self, make):
        before = torch.random.get_rng_state()
        learner, feed = make(**VARIANTS["all at once"])
        learner.train(feed, EverySteps(3), go_on)
        assert torch.equal(before, torch.random.get_rng_state())

    def test_its_threads_are_owned_and_given_back(self, make):
        before = torch.get_num_threads()
        learner, feed = make()
        heard = []
        torch.set_num_threads(2)
        learner.train(feed, EverySteps(3), lambda one: heard.append(torch.get_num_threads()) or go_on(one))
        assert set(heard) == {1} and torch.get_num_threads() == 2
        torch.set_num_threads(before)


def test_a_cnn_has_the_layers_it_says():
    plan = build_blueprint(
        ModelSpec(
            architecture="cnn", input_shape=[1, 8, 8], output_dim=3, hidden_dims=[4, 5], normalization="batch"
        )
    )
    x = np.random.default_rng(0).normal(size=(6, 1, 8, 8)).astype(np.float32)
    from trainwright.backends.torch.network import Network

    weights = plan.initial(0)
    net = Network(plan, weights)
    stages = []
    for number, (inner, outer) in enumerate([(1, 4), (4, 5)]):
        conv = torch.nn.Conv2d(inner, outer, 3, padding=1, bias=False)
        conv.weight.data = torch.from_numpy(weights[f"conv_{number}.weight"])
        stages += [
            conv,
            torch.nn.BatchNorm2d(outer),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
        ]  # relu commutes with max
    dense = torch.nn.Linear(5, 3)
    dense.weight.data, dense.bias.data = (
        torch.from_numpy(weights[f"output.{n}"]) for n in ("weight", "bias")
    )
    theirs = torch.nn.Sequential(*stages, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), dense)
    for training in (True, False):
        theirs.train(training)
        torch.testing.assert_close(net(torch.from_numpy(x), training=training), theirs(torch.from_numpy(x)))
