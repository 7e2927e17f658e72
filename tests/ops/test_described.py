from dataclasses import dataclass

import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.base.jsontext import read_json, write_json
from trainwright.ops import CATALOG
from trainwright.ops.augmentation import Augmentation
from trainwright.ops.described import Described, revive
from trainwright.ops.images import ColorJitter, RandomCrop, RandomRotation
from trainwright.ops.operator import Operator
from trainwright.ops.scaling import Standardize
from trainwright.ops.sequences import GaussianNoise, RandomResample, RandomShift, TimeMask


@dataclass(frozen=True, eq=False)
class Pair(Described):
    left: object = None
    right: object = None


@pytest.mark.parametrize(
    "one",
    [
        RandomCrop(3, mode="reflect"),
        RandomRotation(30),
        ColorJitter(brightness=0.5),
        GaussianNoise(0.25, mask=True),
        RandomShift(2, mode="edge"),
        TimeMask(5, p=0.125),
        RandomResample(0.5, 2.0),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_augmentation_comes_back_from_its_spec(one):
    again = revive(read_json(write_json(one.spec)), CATALOG, role=Augmentation)
    assert type(again) is type(one) and again == one and hash(again) == hash(one)


@pytest.mark.parametrize(
    ("one", "role", "says"),
    [
        (Standardize(), Augmentation, "'Standardize': it is not an Augmentation"),
        (RandomCrop(3), Operator, "'RandomCrop': it is not an Operator"),
    ],
)
def test_what_has_another_role_is_refused(one, role, says):
    with pytest.raises(DataError, match=says):
        revive(one.spec, CATALOG, role=role)


def test_what_is_described_inside_comes_back_too(monkeypatch):
    place = {"Pair": f"{Pair.__module__}:Pair"}
    monkeypatch.setitem(__import__("sys").modules, Pair.__module__, type("module", (), {"Pair": Pair}))
    pair = Pair([Pair(1.5), {"k": Pair()}], np.array([[1, 2]]))
    again = revive({"use": "Pair", "args": pair.spec["args"]}, place, role=Described)
    assert again == pair and isinstance(again.left[1]["k"], Pair) and again.right == [[1, 2]]
    assert pair != Pair() and pair != "Pair"
