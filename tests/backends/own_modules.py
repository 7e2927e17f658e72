"""LightningModules of the user's own for the tests, named by specs as `backends.own_modules:Name`."""

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import nn


class Plain(LightningModule):
    """Does what the spec would do: mean cross-entropy, weighted if records are, and AdamW."""

    def __init__(self, network, lr=0.01):
        super().__init__()
        self.network, self.lr = network, lr

    def training_step(self, batch, batch_idx):
        x, y, *weight = batch
        each = F.cross_entropy(self.network(x), y, reduction="none")
        return (each * weight[0]).sum() / weight[0].sum() if weight else each.mean()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.network.parameters(), lr=self.lr, weight_decay=0.01)


class Rich(Plain):
    """Has all that a resume could lose: draws, layers and buffers of its own, a schedule, hooks, things to keep."""

    def __init__(self, network, lr=0.01, interval="step", width=3):
        super().__init__(network, lr)
        self.interval = interval
        self.scale = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.Dropout(0.3))
        self.register_buffer("epochs", torch.tensor(0.0))
        self.count = 0

    def training_step(self, batch, batch_idx):
        x, y, *_ = batch
        drawn = torch.randn(len(x))
        loss = (
            F.cross_entropy(self.network(x + 0.1 * self.scale(x)), y, reduction="none") * drawn.exp()
        ).mean()
        penalty = 0.01 * sum(one.square().sum() for one in self.scale.parameters()) * (1 + self.epochs)
        self.log("penalty", penalty)
        self.log("train/records", float(len(x)))
        return {"loss": loss + penalty + 1e-3 * self.count}

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.count += 1

    def on_train_epoch_end(self):
        self.epochs += 1
        self.log("epochs", self.epochs.clone())

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr)
        steps = {"step": 5, "epoch": 1}[self.interval]
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, steps, gamma=0.5)
        return [optimizer], [{"scheduler": schedule, "interval": self.interval}]

    def on_save_checkpoint(self, checkpoint):
        checkpoint["count"] = self.count

    def on_load_checkpoint(self, checkpoint):
        self.count = checkpoint["count"]


class Rivals(Plain):
    """Two optimizers, which it steps itself: the network against a mask of its inputs."""

    def __init__(self, network, lr=0.05):
        super().__init__(network, lr)
        self.automatic_optimization = False
        self.mask = nn.Parameter(torch.zeros(3))

    def training_step(self, batch, batch_idx):
        x, y, *_ = batch
        for optimizer, sign in zip(self.optimizers(), (1, -1), strict=True):
            loss = F.cross_entropy(self.network(x * self.mask.sigmoid()), y)
            optimizer.zero_grad()
            self.manual_backward(sign * loss)
            optimizer.step()
        return loss.detach()

    def configure_optimizers(self):
        return [
            torch.optim.SGD(self.network.parameters(), lr=self.lr, momentum=0.9),
            torch.optim.Adam([self.mask], lr=self.lr),
        ]


class Raises(Plain):
    """Raises in its second step."""

    def training_step(self, batch, batch_idx):
        if batch_idx == 1:
            raise ValueError("of my own")
        return super().training_step(batch, batch_idx)


class Misfit(Plain):
    """Cannot be called as Lightning calls it."""

    def on_train_batch_end(self, batch):
        pass


class Wordy(Plain):
    """Gives a word instead of a loss, which Lightning refuses."""

    def training_step(self, batch, batch_idx):
        return "small"


class Other(Plain):
    """Trains a network of its own instead of the one it was given."""

    def __init__(self, network):
        super().__init__(network)
        self.network = nn.Linear(3, 4)


class Idle(Plain):
    """Has no optimizer."""

    def configure_optimizers(self):
        return None


class Still(Plain):
    """Freezes the network and trains a layer of its own before it."""

    def __init__(self, network):
        super().__init__(network.requires_grad_(False))
        self.before = nn.Linear(3, 3)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class Mute(Plain):
    """Gives a loss for the first batches of an epoch, or for none."""

    def __init__(self, network, batches=0, lr=0.01):
        super().__init__(network, lr)
        self.batches = batches

    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx) if batch_idx < self.batches else None


class Raw(Plain):
    """Gives a loss for each record, or one without a gradient."""

    def __init__(self, network, each=True):
        super().__init__(network)
        self.each = each

    def training_step(self, batch, batch_idx):
        each = F.cross_entropy(self.network(batch[0]), batch[1], reduction="none")
        return each if self.each else each.mean().detach()


class Waits(Plain):
    """Has a schedule that waits for a metric."""

    def configure_optimizers(self):
        optimizer = super().configure_optimizers()
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "penalty"}}


class Odd(Plain):
    """Wants to keep what no checkpoint keeps."""

    def on_save_checkpoint(self, checkpoint):
        checkpoint["deep"] = {1, 2}


class Bare:
    """Is no LightningModule, though it has the methods."""

    def __init__(self, network):
        self.network = network

    training_step = configure_optimizers = on_save_checkpoint = None.__init__
