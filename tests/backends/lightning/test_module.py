"""What `build_model` gives to plain Lightning is trained there as it is here."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
lightning = pytest.importorskip("lightning")

from backends.test_torch import TestTorch as Lean
from contracts.learner import PER_EPOCH, VARIANTS, EverySteps, go_on
from trainwright.base.errors import BackendError, SpecError
from trainwright.building import build_model
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import TrainSpec

# Those whose options are all in the loss, the update rule and the groups.
PLAIN = [
    "plain sgd",
    "sgd with momentum",
    "adam",
    "rmsprop",
    "rmsprop, centered, with momentum",
    "adagrad",
    "groups",
    "frozen norm",
    "dropout",
    "batch norm",
    "weights",
]


class Batches(torch.utils.data.Dataset):
    """The records of each step of a feed."""

    def __init__(self, feed, first):
        self.feed, self.first = feed, first

    def __len__(self):
        return self.feed.steps_per_epoch

    def __getitem__(self, number):
        if number >= len(self):
            raise IndexError
        batch = self.feed.batch(self.first + number)
        found = (batch.x, batch.y) if batch.weight is None else (batch.x, batch.y, batch.weight)
        return tuple(map(torch.from_numpy, found))


def train_plainly(module, feed, tmp_path, first=0):
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    loader = torch.utils.data.DataLoader(Batches(feed, first), batch_size=None)
    trainer.fit(module, loader)
    return trainer


def model_like(learner, **changes):
    spec = ModelSpec(architecture="mlp", input_shape=[3], output_dim=3, **{"hidden_dims": [8, 6], **changes})
    return build_model(spec, backend="lightning", seed=3, train=learner.task.train)


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated")
@pytest.mark.parametrize("variant", PLAIN)
def test_plain_lightning_makes_the_same_steps(variant, tmp_path):
    learner, feed = Lean().learner(**VARIANTS[variant])
    module = model_like(learner, **VARIANTS[variant].get("model", {}))
    trainer = train_plainly(module, feed, tmp_path)
    losses = []
    learner.train(
        feed, EverySteps(1, end=PER_EPOCH), lambda one: losses.append(one.sums["loss"]) or go_on(one)
    )
    assert trainer.global_step == PER_EPOCH
    state = module.state_dict()
    assert state.keys() == learner.weights().keys()
    for name, array in learner.weights().items():
        np.testing.assert_allclose(state[name].numpy(), array, atol=2e-6, err_msg=name)
    last = (losses[-1][0] - losses[-2][0]) / (losses[-1][1] - losses[-2][1])
    assert trainer.callback_metrics["train/loss"].item() == pytest.approx(last, rel=1e-4)


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated")
# A line search decides by comparing losses, so a last digit, which is another on another processor, moves it further.
@pytest.mark.parametrize(("variant", "atol"), [("lbfgs", 5e-3), ("lbfgs without line search", 5e-4)])
def test_lbfgs_of_torch_goes_the_same_way(variant, atol, tmp_path):
    options = {**VARIANTS[variant], "accumulate": 1, "batch_size": 4}
    learner, feed = Lean().learner(**options)
    module = model_like(learner)
    train_plainly(module, feed, tmp_path)
    learner.train(feed, EverySteps(PER_EPOCH, end=PER_EPOCH), go_on)
    for name, array in learner.weights().items():
        np.testing.assert_allclose(module.state_dict()[name].numpy(), array, atol=atol, err_msg=name)


def test_a_module_without_a_training_predicts_in_a_trainer_what_torch_s_predicts():
    spec = ModelSpec(architecture="mlp", input_dim=3, output_dim=2, hidden_dims=[8], dropout=0.5)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))
    module = build_model(spec, backend="lightning", seed=4)
    assert isinstance(module, lightning.LightningModule)
    assert torch.equal(module.eval()(x), build_model(spec, seed=4).eval()(x))


def test_a_training_that_cannot_be_meant_is_refused():
    spec = ModelSpec(architecture="mlp", input_dim=3, output_dim=2)
    with pytest.raises(BackendError, match="'torch' does not train itself; write backend='lightning'"):
        build_model(spec, train=TrainSpec(loss="mse"))
    with pytest.raises(SpecError, match=r"train\.loss: say which"):
        build_model(spec, backend="lightning", train=TrainSpec())
