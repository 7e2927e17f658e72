import numpy as np
import pytest

from report.recorded import record_run
from trainwright.report.inputs import read_inputs
from trainwright.report.record import read_record


def inputs_of(folder, values, *, model=None, data=None, task="classification", **more):
    kept = {"test/sample_inputs": values, "test/sample_records": np.arange(len(values)) + 10, **more}
    return read_inputs(read_record(*record_run(folder, task=task, artifacts=kept, model=model, data=data)))


@pytest.mark.parametrize(
    ("asked", "shape", "kind", "drawn"),
    [
        ("vector", (2, 5), "vector", False),
        ("columns", (2, 5), "vector", False),
        ("tokens", (2, 5), "tokens", False),
        ("sequence", (2, 5), "sequence", True),
        ("sequence", (2, 40, 5), "sequence", True),
        ("image", (2, 8, 8), "image", True),
        ("vector", (2, 3, 8, 8), "image", True),
        ("vector", (2, 28, 28), "image", True),
        ("vector", (2, 3, 50), "sequence", True),
    ],
)
def test_records_look_like_what_they_are_also_where_the_model_flattens_them(
    tmp_path, asked, shape, kind, drawn
):
    found = inputs_of(tmp_path, np.zeros(shape), model={"input": asked})
    assert (found.kind, found.drawn) == (kind, drawn)
    if drawn:
        assert ("<img" in found.drawer()(10)) == (kind == "image")
        assert found.drawer()(9) == ""  # was not kept


def test_columns_have_the_names_of_the_features(tmp_path):
    values = np.arange(6.0).reshape(2, 3)
    found = inputs_of(tmp_path, values, data={"features": ["a", "b", "c"]})
    assert (
        found.names == ["a", "b", "c"] and found.cells(11) == ["3", "4", "5"] and found.cells(0) == [""] * 3
    )


def test_names_that_do_not_fit_are_not_used(tmp_path):
    found = inputs_of(tmp_path, np.zeros((1, 14)), data={"features": ["a"]})
    assert found.names == [f"x{one}" for one in range(12)] and len(found.cells(10)) == 12


def test_padding_is_no_token_and_long_texts_are_folded(tmp_path):
    ids = np.zeros((2, 60), dtype=np.int64)
    ids[0, :3], ids[1, :50] = [7, 8, 9], 5
    found = inputs_of(tmp_path, ids, model={"input": "tokens"})
    assert found.cells(10) == ["7 8 9"]
    assert "and 10 more" in found.cells(11)[0]


@pytest.mark.parametrize(("dtype", "masks"), [(np.int64, True), (np.float32, False)])
def test_what_is_true_and_predicted_at_each_place_is_drawn_beside_the_input(tmp_path, dtype, masks):
    shape = (2, 4, 4) if masks else (2, 1, 4, 4)
    answers = {f"test/sample_{name}": np.ones(shape, dtype=dtype) for name in ("targets", "predictions")}
    found = inputs_of(
        tmp_path, np.zeros((2, 1, 4, 4)), model={"input": "image"}, task="segmentation", **answers
    )
    assert found.masks == masks
    drawn = found.drawer()(10)
    assert drawn.count("<img") == 3 and "true" in drawn and "predicted" in drawn


def test_one_answer_alone_is_not_drawn(tmp_path):
    kept = {"test/sample_targets": np.zeros((2, 4, 4), dtype=np.int64)}
    found = inputs_of(tmp_path, np.zeros((2, 1, 4, 4)), model={"input": "image"}, **kept)
    assert found.answers == {} and found.drawer()(10).count("<img") == 1


def test_without_inputs_there_is_nothing_to_draw(tmp_path):
    assert read_inputs(read_record(*record_run(tmp_path, task="classification"))) is None
