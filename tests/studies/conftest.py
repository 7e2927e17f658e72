"""A small experiment in a folder of its own, and what studies left of it in the store."""

import numpy as np
import pytest

from trainwright.spec.read import check_tree
from trainwright.store.registry import Registry
from trainwright.store.store import Store

COUNT = 60


class Bench:
    """A folder with records, and a store beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "store"
        numbers = np.random.default_rng(0)
        self.x = numbers.normal(2.0, 3.0, size=(COUNT, 3)).astype(np.float32)
        self.group = np.arange(COUNT) // 4
        noisy = self.x + numbers.normal(0, 1, size=self.x.shape)
        self.y = (noisy[:, 0] > 2).astype(np.int64) + (noisy[:, 1] > 2)
        self.value = 300 + 40 * noisy[:, 0]
        self.weight = numbers.exponential(size=COUNT)
        self.write()

    def write(self):
        np.savez(
            self.folder / "a.npz", x=self.x, y=self.y, value=self.value, group=self.group, weight=self.weight
        )

    def experiment(self, split=None, *, data=None, model=None, train=None, **fields):
        return check_tree(
            {
                "name": "tiny",
                "data": {
                    "path": "a.npz",
                    "features": "x",
                    "target": "y",
                    "operators": [{"use": "Standardize"}],
                    "split": split or {"method": "stratified_kfold", "folds": 3, "fold": 0},
                    **(data or {}),
                },
                "model": {"architecture": "mlp", "hidden_dims": [8], **(model or {})},
                "train": {
                    "backend": "torch",
                    "epochs": 3,
                    "batch_size": 16,
                    "optimizer": {"name": "adam", "lr": 0.03},
                    **(train or {}),
                },
                **fields,
            }
        )

    @property
    def places(self):
        return {"folder": self.folder, "home": self.home}

    @property
    def registry(self):
        return Registry(Store.open(self.home, create=False))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory):
    """One whose store the tests of a file only add to."""
    return Bench(tmp_path_factory.mktemp("bench"))
