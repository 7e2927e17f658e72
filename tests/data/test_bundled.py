import socket

import numpy as np
import pytest
from sklearn import datasets

from trainwright.base import extras
from trainwright.base.errors import BackendError, DataError
from trainwright.data.bundled import BUNDLED, read_bundled


@pytest.fixture(autouse=True)
def _without_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a bundled set was fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_a_set_with_classes_is_a_table_with_their_names(name):
    found, source = read_bundled(f"sklearn:{name}"), getattr(datasets, f"load_{name}")()
    assert found.table.columns == (*map(str, source.feature_names), "target") and found.target == ("target",)
    for column, values in zip(source.feature_names, source.data.T, strict=True):
        assert np.array_equal(found.table.numbers(str(column)), values)
    assert found.table.values("target").tolist() == [str(source.target_names[one]) for one in source.target]


def test_diabetes_has_a_quantity_for_its_target():
    found, source = read_bundled("sklearn:diabetes"), datasets.load_diabetes()
    assert found.table.columns == (*source.feature_names, "target")
    assert np.array_equal(found.table.numbers("target"), source.target)


def test_linnerud_has_three_targets():
    found, source = read_bundled("sklearn:linnerud"), datasets.load_linnerud()
    assert found.target == ("Weight", "Waist", "Pulse")
    assert found.table.columns == ("Chins", "Situps", "Jumps", *found.target)
    for column, values in zip(found.target, source.target.T, strict=True):
        assert np.array_equal(found.table.numbers(column), values)


def test_digits_are_images_as_they_are_stored():
    found, source = read_bundled("sklearn:digits"), datasets.load_digits()
    assert found.x.shape == (1797, 1, 8, 8) and found.x.dtype == np.uint8
    assert np.array_equal(found.x[:, 0], source.images) and found.x.max() == 16
    assert np.array_equal(found.y.astype(int), source.target) and found.y.dtype.kind == "U"
    assert found.table is None and found.target == ()


def test_every_bundled_set_can_be_read():
    assert [read_bundled(f"sklearn:{name}").name for name in BUNDLED] == [
        f"sklearn:{name}" for name in BUNDLED
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sklearn:irsi", "nearest: 'sklearn:iris'"),
        ("iris", "nearest: 'sklearn:iris'"),
        ("sklearn:zzz", "there are: sklearn:iris, sklearn:wine"),
        ("sklearn:california_housing", "no bundled data set"),  # would be fetched
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, says):
    with pytest.raises(DataError, match=says):
        read_bundled(name)


def test_without_scikit_learn_the_cure_is_named(monkeypatch):
    monkeypatch.setattr(extras, "installed", lambda module: module != "sklearn")
    with pytest.raises(BackendError, match=r"pip install 'trainwright\[sklearn\]'"):
        read_bundled("sklearn:iris")
