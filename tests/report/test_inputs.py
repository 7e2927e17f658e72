import numpy as np
import pytest

from report.recorded import record_run
from trainwright.report.inputs import read_inputs
from trainwright.report.picture import draw_picture, mask_pixels
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


def answers_of(true, predicted):
    return {"test/sample_targets": np.array(true), "test/sample_predictions": np.array(predicted)}


def test_masks_are_drawn_beside_the_input_in_the_colours_of_their_classes(tmp_path):
    kept = {"test/about": {"classes": [0, 255]}, **answers_of([[[0, 255]]], [[[255, 255]]])}
    found = inputs_of(tmp_path, np.zeros((1, 1, 1, 2)), task="segmentation", model={"input": "image"}, **kept)
    assert {name: one.tolist() for name, one in found.masks.items()} == {
        "true": [[[0, 1]]],
        "predicted": [[[1, 1]]],
    }
    drawn = found.drawer()(10)
    assert drawn.count("<img") == 3 and draw_picture(mask_pixels(np.array([[0, 1]])), "true") in drawn


def test_classes_that_are_text_are_numbers_already(tmp_path):
    kept = {"test/about": {"classes": ["soil", "water"]}, **answers_of([[[0, 1]]], [[[1, 1]]])}
    found = inputs_of(tmp_path, np.zeros((1, 1, 1, 2)), task="segmentation", model={"input": "image"}, **kept)
    assert found.masks["true"].tolist() == [[[0, 1]]]


def test_grids_of_values_are_drawn_in_one_range_even_if_they_are_whole_numbers(tmp_path):
    kept = answers_of(np.full((1, 1, 2, 2), 0), np.full((1, 1, 2, 2), 200))
    found = inputs_of(tmp_path, np.zeros((1, 1, 2, 2)), task="regression", model={"input": "image"}, **kept)
    drawn = found.drawer()(10)
    black, grey = (draw_picture(np.full((2, 2, 1), one, dtype=np.uint8), "input") for one in (0, 200))
    assert not found.masks and drawn.count(black) == 2 and drawn.count(grey) == 1


def test_rows_of_a_table_keep_their_text_and_the_order_of_the_features(tmp_path):
    rows = {"age": ["41.123456", "nan"], "city": ["Oslo", "<b>"], "zip": ["00123", "7"]}
    kept = {"test/sample_rows": rows, "test/sample_records": np.array([5, 3])}
    record = record_run(
        tmp_path, task="regression", artifacts=kept, data={"features": ["zip", "city", "age"]}
    )
    found = read_inputs(read_record(*record))
    assert found.names == ["zip", "city", "age"] and not found.drawn
    assert found.cells(5) == ["00123", "Oslo", "41.12"] and found.cells(3) == ["7", "<b>", "missing"]


def test_one_answer_alone_is_not_drawn(tmp_path):
    kept = {"test/sample_targets": np.zeros((2, 4, 4), dtype=np.int64)}
    found = inputs_of(tmp_path, np.zeros((2, 1, 4, 4)), model={"input": "image"}, **kept)
    assert found.masks == found.grids == {} and found.drawer()(10).count("<img") == 1


def test_without_inputs_there_is_nothing_to_draw(tmp_path):
    assert read_inputs(read_record(*record_run(tmp_path, task="classification"))) is None
