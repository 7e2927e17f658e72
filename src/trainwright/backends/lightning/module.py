"""A model of a spec as a LightningModule that belongs to nobody, for use in plain Lightning."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from trainwright.backends.torch import loss as losses
from trainwright.backends.torch.module import Module
from trainwright.models.objective import Objective
from trainwright.models.task import ModelTask
from trainwright.spec.optimizer import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop
from trainwright.spec.train import Optimizer
from trainwright.train.groups import frozen_layers, settle_groups


class Network(Module, LightningModule):
    """A network whose state dict has the neutral names; it predicts in a Trainer, and has nothing to train with."""


class Trainable(Network):
    """A network that Lightning trains by itself: by the loss, the update rule and the groups of a spec, at its rate.

    Schedule, clipping, accumulation, averaging and precision are the business of whoever makes the Trainer.

    Args:
        task: What is trained.
        seed: Of initial values and dropout.
    """

    def __init__(self, task: ModelTask, *, seed: int = 0) -> None:
        super().__init__(task.blueprint, seed=seed)
        self.task = task
        self.objective = Objective(task, losses, library="torch")
        names = [name for name, _ in self.named_parameters()]
        self.options = settle_groups(task.train.groups, names, optimizer=task.train.optimizer)
        self.still = frozen_layers(self.options)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(not self.options[name].frozen)

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Gives the mean loss over the records of a batch.

        Args:
            batch: `x` as the network takes it, `y`, and perhaps the weights of the records.
            batch_idx: Is not asked for.
        """
        x, y, *weight = batch
        loss = self.objective(self(self.objective.enter(x)), x, y, weight[0] if weight else None)
        self.log("train/loss", loss, batch_size=len(x))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Makes the optimizer of `torch.optim` that has the update rule of the spec."""
        spec = self.task.train.optimizer
        groups: dict[Any, list[Tensor]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                groups.setdefault(self.options[name], []).append(parameter)
        return make_optimizer(
            spec,
            [
                {"params": params, "lr": spec.lr * one.lr_scale, "weight_decay": one.weight_decay}
                for one, params in groups.items()
            ],
        )


def make_optimizer(spec: Optimizer, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
    """Makes the optimizer of `torch.optim` with the rule of a spec.

    Args:
        spec: The rule.
        groups: Parameters with their rate and weight decay.
    """
    if isinstance(spec, LBFGS):
        every = [one for group in groups for one in group["params"]]
        search = "strong_wolfe" if spec.line_search == "strong_wolfe" else None
        rule = {"lr": spec.lr, "max_iter": spec.max_iter, "history_size": spec.history_size}
        return torch.optim.LBFGS(every, line_search_fn=search, **rule)
    if isinstance(spec, SGD):
        return torch.optim.SGD(groups, momentum=spec.momentum, nesterov=spec.nesterov)
    if isinstance(spec, RMSprop):
        rule = {"alpha": spec.alpha, "eps": spec.eps, "momentum": spec.momentum, "centered": spec.centered}
        return torch.optim.RMSprop(groups, **rule)
    if isinstance(spec, Adagrad):
        rule = {"lr_decay": spec.lr_decay, "initial_accumulator_value": spec.initial_accumulator}
        return torch.optim.Adagrad(groups, eps=spec.eps, **rule)
    assert isinstance(spec, Adam | AdamW)
    made = torch.optim.AdamW if isinstance(spec, AdamW) else torch.optim.Adam
    return made(groups, betas=(spec.beta1, spec.beta2), eps=spec.eps)
