import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.data.dataset import Records
from trainwright.data.prepare import Preparation
from trainwright.ops.operator import Sequential
from trainwright.plan import make_plan
from trainwright.spec.experiment import Experiment

RNG = np.random.default_rng(0)
IDS = RNG.integers(1, 9, size=(60, 7))
Y = np.arange(60) % 2


@pytest.fixture
def plan(tmp_path):
    def make(x, *, data=None, **model):
        np.savez(tmp_path / "t.npz", x=x, y=Y)
        tree = {
            "name": "t",
            "data": {"path": "t.npz", "split": {"val": 0.2}, **(data or {})},
            "model": {"architecture": "transformer", "hidden_dims": [8], **model},
            "train": {"backend": "torch"},
        }
        return make_plan(Experiment.model_validate(tree), tmp_path, home=tmp_path / "store")

    return make


def encode(x):
    preparation = Preparation(Sequential(), Sequential(), "regression", None, 9)
    return preparation.encode(Records(x=x, y=None, weight=None, ids=np.arange(len(x)))).x


def test_ids_may_come_as_whole_floats_but_a_fraction_is_none():
    np.testing.assert_array_equal(encode(IDS.astype(float)), IDS)
    assert encode(IDS.astype(float)).dtype == np.int32
    with pytest.raises(DataError, match=r"record 0 holds 1.5, which is no token id"):
        encode(np.array([[1.5, 2.0]]))
    with pytest.raises(DataError, match=r"record 0 holds True, which is no token id"):
        encode(np.array([[True, False]]))


def test_a_vocabulary_larger_than_that_of_train_takes_rare_ids(plan):
    ids = IDS.copy()
    rare = plan(IDS).dataset.splits["val"][0]
    ids[rare, 0] = 30
    with pytest.raises(DataError, match=r"token id 30, .* model.vocabulary_size makes room for more"):
        plan(ids)
    made = plan(ids, vocabulary_size=31)
    assert made.preparation.vocabulary_size == made.experiment.model.vocabulary_size == 31


@pytest.mark.parametrize("model", [{"input": "tokens"}, {"vocabulary_size": 20}])
def test_floats_are_no_token_ids(plan, model):
    with pytest.raises(DataError, match=r"data.features: token ids are an array of integers"):
        plan(IDS.astype(float), **model)


def test_ids_that_stay_in_their_file_are_not_taken_for_quantities(plan):
    assert plan(IDS).experiment.model.input == "tokens"
    with pytest.raises(DataError, match=r"data.in_memory: token ids are read whole"):
        plan(IDS, data={"in_memory": False})
