import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.data.dataset import open_dataset
from trainwright.data.npy import list_npz
from trainwright.data.sparse import read_sparse_npz
from trainwright.spec.data import DataSpec

ROW, COL, VAL = np.array([0, 2, 2]), np.array([1, 0, 3]), np.array([5.0, 6.0, 7.0], dtype=np.float32)
WHOLE = [[0, 5, 0, 0], [0, 0, 0, 0], [6, 0, 0, 7]]


def read(folder, **arrays):
    path = folder / "a.npz"
    np.savez(path, **arrays)
    return read_sparse_npz(path, "x", list_npz(path))


def test_a_matrix_is_read_from_what_is_not_zero(tmp_path):
    found = read(tmp_path, x_row=ROW, x_col=COL, x_val=VAL)
    assert found.tolist() == WHOLE and found.dtype == np.float32
    shaped = read(tmp_path, x_row=ROW, x_col=COL, x_val=VAL, x_shape=np.array([4, 5]))
    assert shaped.shape == (4, 5) and shaped[:3, :4].tolist() == WHOLE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x_val": VAL[:2]}, "three arrays of one length"),
        ({"x_col": np.array([1, 0, 0]), "x_row": np.array([0, 2, 2])}, "names 1 places more than once"),
        ({"x_row": np.array([0, -1, 2])}, "outside of its shape"),
        ({"x_shape": np.array([2, 4])}, "outside of its shape"),
        ({"x_shape": np.array([3])}, "outside of its shape"),
        ({"x_row": ROW.astype(float)}, "places of float64"),
        ({"x_shape": np.array([10**6, 10**6])}, "as if made to fill the memory"),
    ],
)
def test_what_is_no_matrix_is_refused(tmp_path, change, says):
    with pytest.raises(DataError, match=says):
        read(tmp_path, **{"x_row": ROW, "x_col": COL, "x_val": VAL, **change})


def test_any_dataset_may_have_such_features(tmp_path):
    np.savez(tmp_path / "a.npz", x_row=ROW, x_col=COL, x_val=VAL, y=np.array([0.5, 1.0, 2.0]))
    spec = DataSpec(path="a.npz", split={"method": "given", "train": [0, 1], "val": [2]})
    assert open_dataset(spec, folder=tmp_path).records.x.tolist() == WHOLE
