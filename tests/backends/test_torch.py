import numpy as np
import pytest

torch = pytest.importorskip("torch")

from contracts.learner import PER_EPOCH, VARIANTS, EverySteps, LearnerContract, assert_equal_bits, go_on
from trainwright.backends.torch.backend import TorchBackend
from trainwright.base.errors import BackendError
from trainwright.models.assemble import build_blueprint
from trainwright.spec.model import ModelSpec
from trainwright.spec.optimizer import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop
from trainwright.train.learner import Answer, Resolved


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
            (
                RMSprop(name="rmsprop", lr=0.01, alpha=0.9, eps=1e-3, weight_decay=0.1),
                lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-3, weight_decay=0.1),
            ),
            (
                RMSprop(name="rmsprop", lr=0.01, centered=True, momentum=0.8),
                lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.8),
            ),
            (
                Adagrad(name="adagrad", lr=0.1, lr_decay=0.2, initial_accumulator=0.3, weight_decay=0.1),
                lambda p: torch.optim.Adagrad(
                    p, lr=0.1, lr_decay=0.2, initial_accumulator_value=0.3, weight_decay=0.1
                ),
            ),
            (Adagrad(name="adagrad", lr=0.1, eps=0.1), lambda p: torch.optim.Adagrad(p, lr=0.1, eps=0.1)),
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

    @pytest.mark.parametrize("half", ["bfloat16", "float16"])
    def test_a_half_precision_step_is_that_of_autocast(self, make, half):
        learner, feed = make(optimizer=SGD(name="sgd", lr=0.5), precision=half, task_type="regression")
        before = learner.weights()
        tensors = {name: torch.tensor(array, requires_grad=True) for name, array in before.items()}
        batch = feed.batch(0)
        with torch.autocast("cpu", dtype=getattr(torch, half)):
            hidden = torch.from_numpy(batch.x)
            for name in ("dense_0", "dense_1", "output"):
                hidden = torch.nn.functional.linear(
                    hidden, tensors[f"{name}.weight"], tensors[f"{name}.bias"]
                )
                hidden = hidden if name == "output" else torch.relu(hidden)
        loss = torch.square(hidden.float() - torch.from_numpy(batch.y)).mean()
        # The factor of the loss keeps small gradients from being rounded to zero; it is part of the rounding.
        factor = 65536.0 if half == "float16" else 1.0
        (loss * factor).backward()
        learner.train(feed, EverySteps(1, end=1), go_on)
        assert learner.sums["loss"][0] == pytest.approx(loss.item() * len(batch.x), rel=1e-6)
        plain, _ = make(optimizer=SGD(name="sgd", lr=0.5), task_type="regression")
        plain.train(feed, EverySteps(1, end=1), go_on)
        for name, tensor in tensors.items():
            move = -0.5 * (tensor.grad / factor).numpy()
            assert learner.weights()[name].dtype == np.float32
            np.testing.assert_allclose(learner.weights()[name], before[name] + move, atol=1e-6, err_msg=name)
            np.testing.assert_allclose(plain.weights()[name], before[name] + move, atol=0.02, err_msg=name)

    @pytest.mark.parametrize("half", ["bfloat16", "float16"])
    def test_predictions_are_in_full_precision(self, make, half):
        (learner, feed), (plain, _) = make(precision=half), make()
        learner.train(feed, EverySteps(1, end=5), go_on)
        plain.load_weights(learner.weights())
        x = feed.arrays["x"]
        np.testing.assert_array_equal(learner.predict(x)["logits"], plain.predict(x)["logits"])

    def test_a_step_whose_gradient_overflows_counts_but_changes_nothing(self, make, monkeypatch):
        monkeypatch.setattr("trainwright.backends.torch.scaler.FIRST", 2.0**24)
        learner, feed = make(precision="float16", optimizer=Adam(name="adam", lr=0.01))
        before, skipped = learner.weights(), []

        def hear(one):
            kept = one.state()
            skipped.append(kept["loss_scale"]["skipped"])
            same = all(np.array_equal(kept["weights"][name], before[name]) for name in before)
            assert same == (skipped[-1] == one.step)
            return Answer(stop="moved" if not same else None)

        learner.train(feed, EverySteps(1), hear)
        assert learner.step == skipped[-1] + 1 >= 3
        assert learner.state()["loss_scale"]["value"] == 2.0 ** (24 - skipped[-1])
        # The first update of Adam moves each weight by the rate, if its bias correction counts updates, not steps.
        move = np.abs(learner.weights()["output.bias"] - before["output.bias"])
        np.testing.assert_allclose(move, 0.01, rtol=1e-3)

    def test_a_resume_with_a_loss_scale_that_moves_is_exact(self, make, monkeypatch):
        monkeypatch.setattr("trainwright.backends.torch.scaler.FIRST", 2.0**22)
        monkeypatch.setattr("trainwright.backends.torch.scaler.GROWTH_INTERVAL", 3)
        self.test_a_learner_resumed_at_any_step_ends_in_the_same_weights_and_sums(make, "float16")
        self.test_forgetting_any_state_item_changes_the_end(make, "float16")

    def test_the_batches_of_an_lbfgs_step_make_the_loss_of_one_large_batch(self, make):
        lbfgs = LBFGS(name="lbfgs", lr=0.1, max_iter=3)
        (small, feed), (large, _) = (
            make(optimizer=lbfgs, accumulate=2, batch_size=2, weights=True),
            make(optimizer=lbfgs, weights=True),
        )
        for learner in (small, large):
            learner.train(feed, EverySteps(1, end=2), go_on)
        assert small.sums["loss"] == pytest.approx(large.sums["loss"], rel=1e-4)
        for name, array in large.weights().items():
            np.testing.assert_allclose(small.weights()[name], array, atol=1e-4)

    def test_records_that_lie_on_the_device_train_to_the_same_weights(self, make):
        (there, feed), (here, _) = make(weights=True), make(weights=True)
        there._keeps_records = True  # as on a GPU
        for learner in (there, here):
            learner.train(feed, EverySteps(PER_EPOCH), go_on)
        assert_equal_bits(there.state(), here.state())
        assert there._resident[1][0].data_ptr() != feed.arrays["x"].ctypes.data and here._resident[0] is None

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_gpu_that_is_not_there_is_an_error(self, make):
        learner, feed = make()
        with pytest.raises(BackendError, match=r"train\.device: torch finds no GPU; write device: cpu"):
            self.make_backend().prepare(learner.task, feed, seed=0, run_on=Resolved(device="cuda"))

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_model_from_a_gpu_predicts_without_one(self, make):
        learner, feed = make()
        predictor = self.make_backend().predictor(
            learner.task.blueprint, learner.weights(), output="logits", run_on=Resolved(device="cuda")
        )
        x = feed.arrays["x"]
        np.testing.assert_array_equal(predictor(x)["logits"], learner.predict(x)["logits"])

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
