"""Callbacks and loggers of Lightning for the tests, named by specs as `backends.heard:Name`."""

import json
import os
import signal
from pathlib import Path

import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers.logger import Logger


class Batches(Callback):
    """Counts batches, over resumes too, and writes the count to a file."""

    def __init__(self, path=None):
        self.count, self.path, self.seen, self.ends = torch.tensor(0), path, {}, 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.count += 1

    def on_train_epoch_end(self, trainer, pl_module):
        self.ends += 1
        self.seen[str(trainer.current_epoch)] = {n: float(v) for n, v in trainer.callback_metrics.items()}
        if self.path is not None:
            Path(self.path).write_text(str(int(self.count)))

    def state_dict(self):
        return {"count": self.count, "seen": self.seen, "ends": self.ends}

    def load_state_dict(self, state_dict):
        self.count, self.seen, self.ends = state_dict["count"], state_dict["seen"], state_dict["ends"]


class Odd(Batches):
    """Wants to keep what no checkpoint keeps."""

    def state_dict(self):
        return {"deep": [{1, 2}]}


class Raises(Callback):
    """Raises at the end of an epoch."""

    def on_train_epoch_end(self, trainer, pl_module):
        raise ValueError("of my own")


class Forgets(Callback):
    """Cannot say what it wants to keep."""

    def state_dict(self):
        return {"count": self.count}


class Misfit(Callback):
    """Cannot be called as Lightning calls it."""

    def on_train_batch_end(self, batch):
        pass


class Ends(Callback):
    """Ends the training."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.should_stop = True


class Acts(Batches):
    """Counts the records of its process, and does something in one process at one step."""

    def __init__(self, rank=None, step=None, do=None):
        super().__init__()
        self.rank, self.step, self.do = rank, step, do

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.count += sum(len(x) for x, *_ in batch)
        if (trainer.global_rank, trainer.global_step) != (self.rank, self.step):
            return
        if self.do == "raise":
            raise ValueError("of my own")
        if self.do == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.do == "end":
            trainer.should_stop = True
        if self.do == "change":
            next(pl_module.parameters()).data.add_(1)


class Lines(Logger):
    """Writes what it is told into a folder, as JSON lines."""

    def __init__(self, folder):
        super().__init__()
        self.file = Path(folder) / "lines.jsonl"

    name, version = "lines", 0

    def log_metrics(self, metrics, step=None):
        self.write({"step": step, **metrics})

    def log_hyperparams(self, params, *args, **kwargs):
        self.write({"params": params})

    def finalize(self, status):
        self.write({"status": status})

    def write(self, line):
        with self.file.open("a") as file:
            print(json.dumps(line), file=file)
