"""The work done by hand in PyTorch, and by the trainers that are built on it."""

import logging
import tempfile
import warnings

from workloads import DECAY, LR, WORKLOADS


def network(work):
    """The network of a workload as a PyTorch user writes it, with the workload's first weights."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    widths = WORKLOADS[work.name]["model"]["hidden_dims"]
    if work.name == "transformer":
        return transformer(work)
    layers = []
    if work.name == "cnn":
        for inner, outer in zip([1, *widths], widths, strict=False):
            layers += [nn.Conv2d(inner, outer, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10)]
    else:
        for inner, outer in zip([32, *widths], widths, strict=False):
            layers += [nn.Linear(inner, outer), nn.ReLU()]
        layers += [nn.Linear(widths[-1], 1)]
    net = nn.Sequential(*layers)
    with torch.no_grad():
        for parameter, values in zip(net.parameters(), work.weights.values(), strict=True):
            parameter.copy_(torch.from_numpy(values))
    return net


def transformer(work):
    import torch
    import torch.nn.functional as F
    from torch import nn

    width, heads, blocks = 64, 4, 2

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
            self.query, self.key, self.value = (
                nn.Linear(width, width, bias=name != "key") for name in ("query", "key", "value")
            )
            self.out = nn.Linear(width, width)
            self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            y = self.before(x)
            split = [
                one(y).unflatten(2, (heads, -1)).transpose(1, 2) for one in (self.query, self.key, self.value)
            ]
            x = x + self.out(F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2))
            return x + self.outer(F.gelu(self.inner(self.between(x))))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Linear(4, width)
            self.position = nn.Parameter(torch.zeros(64, width))
            self.blocks = nn.ModuleList(Block() for _ in range(blocks))
            self.norm, self.output = nn.LayerNorm(width), nn.Linear(width, 10)

        def forward(self, x):
            x = self.stem(x.transpose(1, 2)) + self.position
            for block in self.blocks:
                x = block(x)
            return self.output(self.norm(x.mean(1)))

    net = Net()
    places = {"stem": net.stem, "norm_output": net.norm, "output": net.output}
    for number, block in enumerate(net.blocks):
        places |= {f"norm_{number}_attention": block.before, f"norm_{number}_dense": block.between}
        places |= {
            f"attention_{number}.{part}": getattr(block, part) for part in ("query", "key", "value", "out")
        }
        places |= {f"dense_{number}_in": block.inner, f"dense_{number}_out": block.outer}
    with torch.no_grad():
        for name, values in work.weights.items():
            place, _, part = name.rpartition(".")
            target = net.position if place == "position" else getattr(places[place], part)
            target.copy_(torch.from_numpy(values))
    return net


def loss_of(work):
    import torch.nn.functional as F

    return F.mse_loss if work.loss == "mse" else F.cross_entropy


def validation(work, net):
    import torch

    x, y = (torch.from_numpy(array) for array in work.val)
    measure = loss_of(work)

    def validate():
        with torch.no_grad():
            return measure(net(x), y).item()

    return validate


def adamw(net, *, fused=False):
    import torch

    return torch.optim.AdamW(net.parameters(), lr=LR, weight_decay=DECAY, fused=fused)


def dataset(work):
    import torch
    from torch.utils.data import TensorDataset

    return TensorDataset(torch.from_numpy(work.x), torch.from_numpy(work.y))


def same_order(work):
    """Makes a sampler that gives the records in the workload's order, an epoch after the other."""
    from torch.utils.data import Sampler

    class Same(Sampler):
        epoch = 0

        def __len__(self):
            return len(work.x)

        def __iter__(self):
            self.epoch += 1
            return iter(work.order(self.epoch - 1).tolist())

    return Same()


def dataloader(work, watch):
    """The loop of the tutorials."""
    from torch.utils.data import DataLoader

    net, measure = network(work), loss_of(work)
    optimizer = adamw(net)
    loader = DataLoader(dataset(work), batch_size=work.batch, sampler=same_order(work))
    validate = validation(work, net)
    for _ in range(work.epochs):
        total = 0.0
        for x, y in loader:
            loss = measure(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        validate()
        watch.epoch(total / len(work.x))


def slicing(work, watch, *, fused=False):
    """The loop of an expert: tensors in memory, a batch is a slice."""
    import torch

    net, measure = network(work), loss_of(work)
    optimizer = adamw(net, fused=fused)
    x, y = torch.from_numpy(work.x), torch.from_numpy(work.y)
    validate = validation(work, net)
    for epoch in range(work.epochs):
        total = torch.zeros(())
        for chosen in torch.from_numpy(work.order(epoch)).split(work.batch):
            loss = measure(net(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(chosen)
        validate()
        watch.epoch(total / len(x))


def lightning(work, watch):
    """Lightning's Trainer."""
    import lightning as L
    from torch.utils.data import DataLoader

    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    net, measure = network(work), loss_of(work)
    validate = validation(work, net)

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.total = net, 0.0

        def training_step(self, batch, _):
            loss = measure(self.net(batch[0]), batch[1])
            self.total += loss.item() * len(batch[0])
            return loss

        def on_train_epoch_end(self):
            validate()
            watch.epoch(self.total / len(work.x))
            self.total = 0.0

        def configure_optimizers(self):
            return adamw(self)

    trainer = L.Trainer(
        max_epochs=work.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), DataLoader(dataset(work), batch_size=work.batch, sampler=same_order(work)))


def hugging_face(work, watch):
    """The Trainer of Hugging Face's transformers."""
    import os

    import torch
    from torch import nn

    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.simplefilter("ignore")
    from transformers import Trainer, TrainerCallback, TrainingArguments

    net, measure = network(work), loss_of(work)
    validate = validation(work, net)
    total = [0.0]

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x, y):
            loss = measure(self.net(x), y)
            total[0] += loss.item() * len(x)
            return {"loss": loss}

    class Rows(torch.utils.data.Dataset):
        x, y = torch.from_numpy(work.x), torch.from_numpy(work.y)

        def __len__(self):
            return len(self.x)

        def __getitem__(self, row):
            return {"x": self.x[row], "y": self.y[row]}

    class Ticks(TrainerCallback):
        def on_epoch_end(self, *arguments, **more):
            validate()
            watch.epoch(total[0] / len(work.x))
            total[0] = 0.0

    class Ordered(Trainer):
        def _get_train_sampler(self, *arguments):
            return same_order(work)

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=work.epochs,
            per_device_train_batch_size=work.batch,
            learning_rate=LR,
            weight_decay=DECAY,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        )
        model = Wrapped()
        optimizers = (adamw(model), None)
        Ordered(
            model=model, args=arguments, train_dataset=Rows(), callbacks=[Ticks()], optimizers=optimizers
        ).train()


def skorch(work, watch):
    """skorch's NeuralNet."""
    import torch
    from skorch import NeuralNet
    from skorch.callbacks import Callback
    from torch import nn

    net = network(work)
    validate = validation(work, net)

    class Ticks(Callback):
        def on_epoch_end(self, trained, **more):
            validate()
            watch.epoch(trained.history[-1, "train_loss"])

    trained = NeuralNet(
        net,
        criterion=nn.MSELoss if work.loss == "mse" else nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=DECAY,
        lr=LR,
        batch_size=work.batch,
        max_epochs=work.epochs,
        train_split=None,
        iterator_train__sampler=same_order(work),
        iterator_train__shuffle=False,
        callbacks=[Ticks()],
        callbacks__print_log=None,
        verbose=0,
    )
    trained.fit(dataset(work), y=None)
