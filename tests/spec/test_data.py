import pytest

from trainwright.base.errors import SpecError
from trainwright.spec.data import DataSpec, SplitSpec
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec

KFOLD = {"method": "kfold", "folds": 3, "fold": 1}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"method": "grouped"}, "by: method 'grouped' goes by a column or array; name it"),
        ({"method": "grouped_kfold", "folds": 3, "fold": 0}, "by: method 'grouped_kfold' goes by a column"),
        ({"method": "time"}, "by: method 'time' goes by a column"),
        ({"method": "column"}, "by: method 'column' goes by a column"),
        ({"by": "b"}, "by: method 'random' goes by no column; leave it out, or use method grouped, "),
        ({**KFOLD, "by": "b"}, "by: method 'kfold' goes by no column"),
        ({"method": "kfold", "fold": 0}, "folds: it is missing; with method 'kfold', say how many"),
        ({"folds": 3}, "folds: method 'random' has no folds; leave it out, or use method kfold, "),
        ({"fold": 0}, "fold: method 'random' has no folds"),
        ({**KFOLD, "fold": 3}, "fold: there are 3 folds, counted from 0; 3 is none of them"),
        ({**KFOLD, "folds": 1, "fold": 0}, "greater than or equal to 2"),
        ({**KFOLD, "fold": -1}, "greater than or equal to 0"),
        ({**KFOLD, "val": 0.2}, "val: with method 'kfold' val is a fold; leave the fraction out"),
        ({**KFOLD, "val": [1]}, "val: it names records, but method 'kfold' draws them"),
        (
            {"method": "column", "by": "b", "val": 0.3},
            "val: with method 'column' val is what column 'b' says",
        ),
        (
            {"method": "column", "by": "b", "test": 0.3},
            "test: with method 'column' test is what column 'b' says",
        ),
    ],
)
def test_a_split_whose_fields_do_not_go_together_is_refused(fields, says):
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        SplitSpec(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"method": "grouped", "by": "b", "val": 0.3, "test": 0.2},
        {"method": "time", "by": "b", "val": 0.3, "test": 0.2},
        {"method": "column", "by": "b"},
        {**KFOLD, "test": 0.2},
        {"method": "stratified_kfold", "folds": 2, "fold": 0},
        {"method": "grouped_kfold", "folds": 2, "fold": 0, "by": "b"},
    ],
)
def test_a_split_is_the_same_after_it_was_written_with_every_field(fields):
    split = SplitSpec(**fields)
    assert SplitSpec.model_validate(split.tree()) == split


def test_a_cross_validation_is_a_study_over_one_field():
    data = DataSpec(path="a.csv", split=SplitSpec(**KFOLD))
    before = Experiment(name="a", data=data, model=ModelSpec(architecture="mlp"))
    assert edit(before, {"data.split.fold": 2}).data.split.fold == 2
    with pytest.raises(SpecError, match="fold: there are 3 folds"):
        edit(before, {"data.split.fold": 3})
    with pytest.raises(SpecError, match="fold: it is missing; with method 'kfold', say which"):
        edit(before, {"data.split.fold": None})
    assert edit(before, {"data.split.fold": None, "ensemble": "folds"}).data.split.fold is None


def test_features_are_in_memory_if_they_fit_unless_the_spec_says_otherwise():
    assert DataSpec(path="a.npy").in_memory == "auto"
    with pytest.raises(ValueError, match="in_memory"):
        DataSpec(path="a.npy", in_memory="no")
